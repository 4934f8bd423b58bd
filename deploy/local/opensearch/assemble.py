#!/usr/bin/env python3
"""Lay out an OpenSearch home from the jars that pom.xml lists.

usage: assemble.py HOME

OpenSearch is published as one archive and, jar by jar, on Maven Central. Only the second is reachable from every
machine that can build Rust and Java, so the archive is rebuilt here: a folder of libraries, one folder for each
module with the descriptor and the security policy that the archive would carry, and the plugins as they come.
"""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent


class Module(NamedTuple):
    plugin_class: str
    jars: tuple[str, ...]
    extends: str = ""
    grants: tuple[str, ...] = ()


MODULES = {
    "aggs-matrix-stats": Module(
        "org.opensearch.search.aggregations.matrix.MatrixAggregationPlugin", ("aggs-matrix-stats-client",)
    ),
    "analysis-common": Module(
        "org.opensearch.analysis.common.CommonAnalysisPlugin", ("analysis-common",), extends="lang-painless"
    ),
    "geo": Module("org.opensearch.geo.GeoModulePlugin", ("geo",)),
    "ingest-common": Module(
        "org.opensearch.ingest.common.IngestCommonPlugin",
        ("ingest-common", "opensearch-dissect", "opensearch-grok", "jcodings", "joni"),
        extends="lang-painless",
    ),
    "lang-expression": Module(
        "org.opensearch.script.expression.ExpressionPlugin",
        ("lang-expression", "lucene-expressions", "antlr4-runtime", "asm", "asm-commons", "asm-tree"),
        grants=(
            'java.lang.RuntimePermission "createClassLoader"',
            'org.opensearch.script.ClassPermission "java.lang.String"',
            'org.opensearch.script.ClassPermission "org.apache.lucene.expressions.Expression"',
            'org.opensearch.script.ClassPermission "org.apache.lucene.expressions.js.ExpressionMath"',
            'org.opensearch.script.ClassPermission "org.apache.lucene.search.DoubleValues"',
            'org.opensearch.script.ClassPermission "java.lang.Math"',
            'org.opensearch.script.ClassPermission "org.apache.lucene.util.MathUtil"',
            'org.opensearch.script.ClassPermission "org.apache.lucene.util.SloppyMath"',
        ),
    ),
    "lang-mustache": Module(
        "org.opensearch.script.mustache.MustachePlugin",
        ("lang-mustache-client", "compiler"),
        grants=('java.lang.RuntimePermission "accessDeclaredMembers"',),
    ),
    "lang-painless": Module(
        "org.opensearch.painless.PainlessPlugin",
        (
            "lang-painless",
            "opensearch-scripting-painless-spi",
            "antlr4-runtime",
            "asm",
            "asm-analysis",
            "asm-commons",
            "asm-tree",
            "asm-util",
        ),
        grants=(
            'java.lang.RuntimePermission "createClassLoader"',
            'java.lang.RuntimePermission "getClassLoader"',
        ),
    ),
    "mapper-extras": Module("org.opensearch.index.mapper.MapperExtrasPlugin", ("mapper-extras-client",)),
    "parent-join": Module("org.opensearch.join.ParentJoinPlugin", ("parent-join-client",)),
    "percolator": Module("org.opensearch.percolator.PercolatorPlugin", ("percolator-client",)),
    "rank-eval": Module("org.opensearch.index.rankeval.RankEvalPlugin", ("rank-eval-client",)),
    "reindex": Module(
        "org.opensearch.index.reindex.ReindexPlugin",
        (
            "reindex-client",
            "opensearch-rest-client",
            "opensearch-ssl-config",
            "commons-codec",
            "commons-logging",
            "httpasyncclient",
            "httpclient",
            "httpcore",
            "httpcore-nio",
        ),
        grants=('java.net.SocketPermission "*", "connect"', 'java.net.NetPermission "getProxySelector"'),
    ),
    "transport-netty4": Module(
        "org.opensearch.transport.Netty4Plugin",
        (
            "transport-netty4-client",
            "netty-buffer",
            "netty-codec",
            "netty-codec-http",
            "netty-common",
            "netty-handler",
            "netty-resolver",
            "netty-transport",
            "netty-transport-native-unix-common",
        ),
        grants=(
            'java.io.FilePermission "/proc/sys/net/core/somaxconn", "read"',
            'java.net.SocketPermission "*", "accept,connect"',
            'java.lang.RuntimePermission "*", "setContextClassLoader"',
            'java.lang.RuntimePermission "getClassLoader"',
            'java.util.PropertyPermission "sun.nio.ch.bugLevel", "write"',
        ),
    ),
}


def fetch(into: Path) -> None:
    """Have Maven copy every dependency of pom.xml, with what each needs in turn, into one folder."""
    if not shutil.which("mvn"):
        sys.exit("assemble.py: mvn is missing, which fetches OpenSearch from Maven Central")
    goal = ("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={into}")
    maven = subprocess.run(
        ("mvn", "-q", "-B", "-f", HERE / "pom.xml", *goal),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if maven.returncode:
        sys.stderr.buffer.write(maven.stdout)
        sys.exit("assemble.py: Maven could not fetch OpenSearch; above is what it said")


def version_of(jars: Path) -> str:
    return next(jars.glob("opensearch-core-*.jar")).stem.removeprefix("opensearch-core-")


def descriptor(name: str, module: Module, version: str) -> str:
    return "\n".join(
        (
            f"name={name}",
            f"description={name}",
            f"classname={module.plugin_class}",
            f"extended.plugins={module.extends}",
            f"version={version}",
            f"opensearch.version={version}",
            "java.version=11",
            "has.native.controller=false",
            "",
        )
    )


def lay_out_module(name: str, module: Module, jars: Path, home: Path) -> set[Path]:
    """Fill one module's folder and return the jars that it took."""
    folder = home / "modules" / name
    folder.mkdir(parents=True)
    taken = {next(jars.glob(f"{jar}-[0-9]*.jar")) for jar in module.jars}
    for jar in taken:
        shutil.copy(jar, folder)
    (folder / "plugin-descriptor.properties").write_text(descriptor(name, module, version_of(jars)))
    if module.grants:
        permissions = "".join(f"  permission {grant};\n" for grant in module.grants)
        (folder / "plugin-security.policy").write_text(f"grant {{\n{permissions}}};\n")
    return taken


def lay_out_plugin(archive: Path, home: Path) -> None:
    # Archives are called NAME-VERSION.zip; a plugin's folder carries the name alone.
    name, _, _ = archive.stem.rpartition("-")
    with zipfile.ZipFile(archive) as plugin:
        plugin.extractall(home / "plugins" / name)


def lay_out(jars: Path, home: Path) -> None:
    # The server insists on a bin folder, though nothing here runs from it.
    for folder in ("bin", "lib", "plugins"):
        (home / folder).mkdir(parents=True)
    of_modules: set[Path] = set()
    for name, module in MODULES.items():
        of_modules |= lay_out_module(name, module, jars, home)
    # A class that is on the server's class path and in a module at once is refused at start as jar hell.
    for jar in set(jars.glob("*.jar")) - of_modules:
        shutil.copy(jar, home / "lib")
    for archive in jars.glob("*.zip"):
        lay_out_plugin(archive, home)


def main() -> None:
    home = Path(sys.argv[1]).resolve()
    home.parent.mkdir(parents=True, exist_ok=True)
    # The last step is a rename, so that an interrupted assembly is never taken for a finished one.
    with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
        fetch(Path(scratch, "jars"))
        lay_out(Path(scratch, "jars"), Path(scratch, "home"))
        Path(scratch, "home").rename(home)


if __name__ == "__main__":
    main()
