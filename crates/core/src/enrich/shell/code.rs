//! Finds what a program in another language does with shells, addresses and buckets, by the calls in it.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What a piece of code does that rules ask for.
pub enum Effect {
    /// It lets a shell run this.
    Shell(String),
    Fetched {
        source: String,
        file: String,
    },
    FetchedAndRun(String),
    /// It sends files or answers to this address.
    Sent(String),
}

/// The effects of a program's text.
pub fn effects(text: &str) -> Vec<Effect> {
    let mut effects = files_effects(text);
    // What is fetched is there before a shell runs it.
    for found in SHELL.captures_iter(text) {
        effects.push(Effect::Shell(unescaped(group(&found, "script"))));
    }
    for found in SHELL_WORDS.captures_iter(text) {
        let words: Vec<String> =
            QUOTED.captures_iter(&found["words"]).map(|word| group(&word, "text").to_owned()).collect();
        if let [shell, option, script, ..] = words.as_slice()
            && shell.ends_with("sh")
            && option.starts_with('-')
        {
            effects.push(Effect::Shell(unescaped(script)));
        } else if !words.is_empty() {
            effects.push(Effect::Shell(words.join(" ")));
        }
    }
    effects
}

/// What it does with files, addresses and buckets by itself.
fn files_effects(text: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for found in TO_FILE.captures_iter(text) {
        effects.push(Effect::Fetched {
            source: group(&found, "address").to_owned(),
            file: found["file"].to_owned(),
        });
    }
    for found in S3_TO_FILE.captures_iter(text) {
        let source = format!("s3://{}/{}", &found["bucket"], &found["key"]);
        effects.push(Effect::Fetched { source, file: found["file"].to_owned() });
    }
    if RUNS.is_match(text) {
        for found in FETCH.captures_iter(text) {
            effects.push(Effect::FetchedAndRun(group(&found, "address").to_owned()));
        }
    }
    for pattern in [&S3_UPLOAD, &S3_PUT, &S3_OBJECT] {
        for found in pattern.captures_iter(text) {
            effects.push(Effect::Sent(format!("s3://{}/", &found["bucket"])));
        }
    }
    for found in S3_WRITE.captures_iter(text).chain(S3_OPEN.captures_iter(text)) {
        effects.push(Effect::Sent(group(&found, "address").to_owned()));
    }
    for found in S3_FILES.captures_iter(text) {
        effects.push(Effect::Sent(format!("s3://{}/", &found["bucket"])));
    }
    if READS_FILES.is_match(text) {
        for found in SEND.captures_iter(text) {
            effects.push(Effect::Sent(group(&found, "address").to_owned()));
        }
    }
    if READS_FILES.is_match(text) && SENDS.is_match(text) {
        for found in CONNECT.captures_iter(text) {
            effects.push(Effect::Sent(format!("tcp://{}", &found["host"])));
        }
    }
    if let Some(fetched) = FETCH.captures(text) {
        for found in WRITTEN.captures_iter(text) {
            let source = group(&fetched, "address").to_owned();
            effects.push(Effect::Fetched { source, file: found["file"].to_owned() });
        }
    }
    effects
}

/// Whether code makes text out of what is no text to a reader.
pub fn decodes(text: &str) -> bool {
    DECODES.is_match(text)
}

static DECODES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\bpack\s*\(|fromhex|b(?:64|32|16|85)decode|unhexlify|decode_base64|base64_decode|chr\(\d|codecs\.decode|zlib\.decompress|Base64|Buffer\.from|fromCharCode",
    )
});

fn group<'t>(found: &Captures<'t>, name: &str) -> &'t str {
    found.name(name).map_or("", |found| found.as_str())
}

fn unescaped(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\\"", "\"").replace("\\'", "'")
}

static SHELL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?:\bsystem|\bpopen|\bpopen2|\bexecSync|\bshell_exec|\bpassthru|\bgetoutput|\bgetstatusoutput|\bcheck_output|\bcheck_call|\bPopen|subprocess\.run|subprocess\.call|child_process["']?\)?\.(?:exec|spawn))\s*\(?\s*[bf]?["'](?<script>(?:[^"'\\]|\\.)+)["']"#,
    )
});

static SHELL_WORDS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:check_output|check_call|Popen|subprocess\.run|subprocess\.call|execv[pe]*|posix_spawn)\s*\([^\[)]*\[(?<words>[^\]]*)\]",
    )
});

static QUOTED: LazyLock<Regex> = LazyLock::new(|| pattern(r#"["'](?<text>(?:[^"'\\]|\\.)*)["']"#));

static TO_FILE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"\b(?:urlretrieve|wget\.download)\s*\(\s*["'](?<address>[^"']+)["']\s*,\s*(?:filename\s*=\s*|out\s*=\s*)?["'](?<file>[^"']+)["']"#,
    )
});

static S3_TO_FILE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"\bdownload_file\s*\(\s*(?:Bucket\s*=\s*)?["'](?<bucket>[^"']+)["']\s*,\s*(?:Key\s*=\s*)?["'](?<key>[^"']+)["']\s*,\s*(?:Filename\s*=\s*)?["'](?<file>[^"']+)["']"#,
    )
});

/// What runs a text.
static RUNS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:^|[^\w.])(?:exec|eval|execfile|compile|loads|Function|instance_eval|dofile|loadstring)\s*\(?|require_remote|importlib",
    )
});

static FETCH: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?:urlopen|urlretrieve|requests\.get|httpx\.get|\bRequest|HTTPConnection|get_contents|URI\.open|\bopen|https?\.get|fetch|LWP::Simple::get|\bget)\s*\(?\s*["'](?<address>https?://[^"']+)["']"#,
    )
});

static S3_UPLOAD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"\bupload_file(?:obj)?\s*\([^)]*?,\s*(?:Bucket\s*=\s*)?["'](?<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])["']"#,
    )
});

static S3_PUT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?:\bput_object|\bcopy_object|\bput_object_async)\s*\([^)]*?\bBucket\s*=\s*["'](?<bucket>[^"']+)["']"#,
    )
});

/// The bucket, or an object in it, as something that has methods.
static S3_OBJECT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"\b(?:Bucket|Object)\s*\(\s*["'](?<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])["'][^)]*\)\s*\.\s*(?:put|put_object|upload_file|upload_fileobj|copy|copy_from)\s*\("#,
    )
});

/// What a program sends that is its machine's.
static READS_FILES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\bopen\s*\(|os\.environ|read_bytes|read_text|get_credentials|\bfiles\s*=|process\.env|readFile|file_get_contents|\bENV\b",
    )
});

static SEND: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?:requests\.(?:post|put)|httpx\.(?:post|put)|\bpost|\burlopen|\bRequest|\bfetch)\s*\(\s*f?["'](?<address>https?://[^"'{]+)"#,
    )
});

/// Tables and files that libraries write to S3 by its address.
static S3_WRITE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?:\.to_(?:csv|parquet|json|pickle|feather|hdf|excel|orc)\s*\(\s*(?:\w+\s*=\s*)?|\bS3Uploader\.upload\w*\s*\([^)]*?)[frb]?["'](?<address>s3a?://[^"'{]+)["']"#,
    )
});

/// Files in S3 that a program opens to write them.
static S3_OPEN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"\bopen\s*\(\s*["'](?<address>s3a?://[^"'{]+)["']\s*,\s*(?:mode\s*=\s*)?["'][wax]"#)
});

/// Files that `s3fs` and its like put into a bucket.
static S3_FILES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?s)S3FileSystem.*?\.(?:put|put_file|upload|copy|mv)\s*\(\s*[^,()]+,\s*(?:rpath\s*=\s*)?["'](?:s3://)?(?<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/?[^"']*["']"#,
    )
});

/// Connections that are not those of the web.
static CONNECT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?:\bcreate_connection\s*\(\s*\(|\.connect\s*\(\s*\(?|\bFTP(?:_TLS)?\s*\(|\bSMTP(?:_SSL)?\s*\(|\bTransport\s*\(\s*\(?)\s*["'](?<host>[A-Za-z0-9][A-Za-z0-9.-]*\.[A-Za-z0-9]+)["']"#,
    )
});

static SENDS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"\.(?:sendall|send|sendfile|storbinary|storlines|sendmail|send_message|put|putfo)\s*\(")
});

/// Files that a program writes.
static WRITTEN: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"\bopen\s*\(\s*["'](?<file>[^"']+)["']\s*,\s*(?:mode\s*=\s*)?["'][wax]"#));

fn pattern(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is fixed and tested")
}
