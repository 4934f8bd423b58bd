//! A Debian with systemd 252, booted in namespaces of this machine, in which the units are installed as README.md says.
//!
//! It shares the network with the tests, so the servers on loopback are its own. What it writes is in memory and gone
//! with it.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::eventually;

/// Becomes `systemd-nspawn`, the one of that Debian, in control groups of its own: it takes those that it is started
/// in.
const BOOT: &str = r#"
set -eu
root=$1 group=$2
shift 2
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
  if [ -e "$hierarchy/cgroup.procs" ] && mkdir -p "$hierarchy/$group"; then
    echo $$ >"$hierarchy/$group/cgroup.procs"
  fi
done
libraries=$root/usr/lib/$(uname --machine)-linux-gnu
exec setpriv --pdeathsig TERM "$libraries"/ld-linux-*.so.2 --library-path "$libraries:$libraries/systemd" \
  "$root/usr/bin/systemd-nspawn" --quiet --directory="$root" --volatile=overlay --register=no --keep-unit \
  --console=pipe --boot "$@"
"#;

/// Removes control groups once nothing runs in them any more.
const REMOVE_GROUPS: &str = r#"
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
  for attempt in 1 2 3 4 5 6 7 8 9 10; do
    [ ! -d "$hierarchy/$1" ] || find "$hierarchy/$1" -depth -type d -exec rmdir {} + || sleep 0.2
  done
done
"#;

/// Where the files of the repository that README.md installs are.
const SOURCE: &str = "/src";

pub struct Machine {
    nspawn: Child,
    group: String,
}

impl Machine {
    /// A machine that has booted, or none, after saying why.
    pub async fn booted(name: &str) -> Option<Self> {
        let Some(root) = std::env::var_os("SAGETRAIL_TEST_SYSTEMD_ROOT").filter(|root| !root.is_empty())
        else {
            println!("skipped: no Debian to boot in the environment; run it as root with `make test`");
            return None;
        };
        let group = format!("sagetrail-test-{}-{name}", std::process::id());
        let mut command = Command::new("sh");
        command.args(["-c", BOOT, "sh"]).arg(&root).arg(&group).arg(format!("--machine={group}"));
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        for folder in ["deploy/systemd", "config"] {
            command.arg(bind(&repository.join(folder), folder));
        }
        command.arg(bind(Path::new(env!("CARGO_BIN_EXE_sagetrail")), "target/release/sagetrail"));
        if let Some(package) = package() {
            command.arg(bind(&package, "sagetrail.deb"));
        }
        let log = std::env::temp_dir().join(format!("{group}.log"));
        let output = std::fs::File::create(&log).expect("the log can be written");
        command.stdin(Stdio::null()).stdout(output.try_clone().expect("a file")).stderr(output);
        let mut machine = Self { nspawn: command.process_group(0).spawn().expect("a shell starts"), group };
        eventually(Duration::from_mins(1), async || {
            let said = || std::fs::read_to_string(&log).unwrap_or_default();
            if let Some(status) = machine.nspawn.try_wait().expect("the process can be asked") {
                panic!("systemd-nspawn ended with {status}: {}", said());
            }
            let (_, state) = machine.run("systemctl is-system-running");
            match state.trim() {
                "running" => Ok(()),
                _ => Err(format!("{state}{}", said())),
            }
        })
        .await;
        let _ = std::fs::remove_file(log);
        Some(machine)
    }

    /// Runs a shell's commands in the machine as root: the exit code and everything that they print.
    pub fn run(&self, commands: &str) -> (Option<i32>, String) {
        let Some(leader) = self.leader() else { return (None, "it has not begun to boot".to_owned()) };
        let output = Command::new("nsenter")
            .args(["--target", &leader, "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--"])
            .args(["env", "--ignore-environment", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-euc"])
            .arg(format!("exec 2>&1\n{commands}"))
            .output()
            .expect("nsenter runs");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// Runs what has to succeed.
    pub fn must(&self, commands: &str) -> String {
        let (code, text) = self.run(commands);
        assert_eq!(code, Some(0), "{commands}\n{text}");
        text
    }

    /// Writes a file with an owner and a mode.
    pub fn write(&self, path: &str, (owner, mode): (&str, &str), text: &str) {
        assert!(!text.contains("\nEND\n"));
        self.must(&format!(
            "mkdir -p \"$(dirname {path})\"; cat >{path} <<'END'\n{text}\nEND\nchown {owner} {path}; chmod {mode} {path}"
        ));
    }

    /// Installs the package that the environment names, or else what README.md's first commands install by hand.
    pub fn install(&self) {
        if package().is_some() {
            self.must(&format!("dpkg --install {SOURCE}/sagetrail.deb"));
            return;
        }
        let readme = include_str!("../../../deploy/systemd/README.md");
        let installs = |line: &&str| {
            line.starts_with("sudo ") && (line.contains(" install ") || line.contains("systemd-sysusers"))
        };
        let commands: Vec<_> = readme.lines().filter(installs).collect();
        assert!(commands.len() > 5, "README.md installs with {commands:?} alone");
        self.must(&format!(
            "cd {SOURCE}; sudo() {{ \"$@\"; }}\n{}\nsystemctl daemon-reload",
            commands.join("\n")
        ));
    }

    /// A property of a unit, such as `ActiveState`.
    pub fn property(&self, unit: &str, name: &str) -> String {
        self.must(&format!("systemctl show --value --property={name} {unit}")).trim().to_owned()
    }

    pub fn journal(&self, unit: &str) -> String {
        self.must(&format!("journalctl --no-pager --output=cat --unit={unit}"))
    }

    /// Waits until a unit is in a state, such as `failed`, and says its log when that does not come.
    pub async fn until(&self, unit: &str, state: &str) {
        eventually(Duration::from_mins(1), async || {
            let found = self.property(unit, "SubState");
            if found == state { Ok(()) } else { Err(format!("{unit} is {found}\n{}", self.journal(unit))) }
        })
        .await;
    }

    /// The first process of the machine, once there is one.
    fn leader(&self) -> Option<String> {
        let nspawn = self.nspawn.id();
        let children = std::fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children")).ok()?;
        children.split_whitespace().next().map(str::to_owned)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With its first process all others go. systemd-nspawn alone would leave them behind.
        if let Some(leader) = self.leader() {
            let _ = Command::new("kill").args(["-KILL", &leader]).status();
        } else {
            let _ = self.nspawn.kill();
        }
        let _ = self.nspawn.wait();
        let _ = Command::new("sh").args(["-c", REMOVE_GROUPS, "sh", &self.group]).output();
    }
}

fn package() -> Option<PathBuf> {
    std::env::var_os("SAGETRAIL_TEST_PACKAGE").filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn bind(from: &Path, to: &str) -> String {
    format!("--bind-ro={}:{SOURCE}/{to}", from.display())
}
