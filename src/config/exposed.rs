//! Warns of configuration files with secrets that other users of the host may read.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use toml::{Table, Value};

use super::sections::Config;

/// What to tell whoever checks the configuration, a line for each file. Files are not opened, but for the
/// configuration.
pub fn exposed(file: Option<&Path>, config: &Config) -> Vec<String> {
    let secrets = [
        ("sink.password_file", &config.sink.password_file),
        ("sink.client_key_file", &config.sink.client_key_file),
        ("dashboards.password_file", &config.dashboards.password_file),
        ("redaction.key_file", &config.redaction.key_file),
    ];
    let secrets = secrets.into_iter().filter_map(|(key, path)| Some((key.to_owned(), path.as_deref()?)));
    let own = file.and_then(|file| Some((first_secret(file)?, file)));
    own.into_iter().chain(secrets).filter_map(|(key, path)| warning(&key, path)).collect()
}

fn warning(key: &str, path: &Path) -> Option<String> {
    const BY_ALL: u32 = 0o004;
    const BY_GROUP: u32 = 0o040;
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    let who = match mode {
        mode if mode & BY_ALL != 0 => "everybody on this machine",
        mode if mode & BY_GROUP != 0 => "everybody in its group",
        _ => return None,
    };
    let path = path.display();
    Some(format!("warning: {key}: {who} may read {path}, which holds a secret: chmod 600 {path}"))
}

/// The key of the first secret that stands in a configuration file itself.
fn first_secret(file: &Path) -> Option<String> {
    let table: Table = toml::from_str(&std::fs::read_to_string(file).ok()?).ok()?;
    let named = [("sink", "password"), ("dashboards", "password"), ("redaction", "key")];
    let named = named.iter().find(|(section, key)| table.get(*section).and_then(|it| it.get(key)).is_some());
    named.map(|(section, key)| format!("{section}.{key}")).or_else(|| {
        let channels = table.get("channels").and_then(Value::as_table)?;
        channels.iter().find_map(|(name, channel)| {
            // The address of an Alertmanager is none: it may not carry credentials.
            let is_secret = |key: &&str| {
                let is_address =
                    *key == "url" && channel.get("kind").and_then(Value::as_str) == Some("alertmanager");
                channel.get(key).is_some() && !is_address
            };
            let key =
                ["routing_key", "bearer_token", "password", "url", "headers"].into_iter().find(is_secret)?;
            Some(format!("channels.{name}.{key}"))
        })
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};

    use super::*;

    #[test]
    fn a_file_with_a_secret_is_warned_of_when_others_may_read_it_and_one_without_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (file, password) = (folder.path().join("sagetrail.toml"), folder.path().join("password"));
        write(&password, "hunter2").unwrap();
        let by_file =
            format!("[sink]\nauth = 'basic'\nusername = 'me'\npassword_file = '{}'\n", password.display());
        let cases: [(&str, u32, u32, &[&str]); 10] = [
            ("", 0o644, 0o600, &[]),
            (&by_file, 0o644, 0o600, &[]),
            (&by_file, 0o644, 0o644, &["sink.password_file: everybody on this machine"]),
            (&by_file, 0o644, 0o640, &["sink.password_file: everybody in its group"]),
            ("[redaction]\nkey = 'hunter2'", 0o644, 0o600, &["redaction.key: everybody on this machine"]),
            ("[redaction]\nkey = 'hunter2'", 0o600, 0o600, &[]),
            (
                "[channels]\nsoc = { kind = 'slack', url = 'https://a/hunter2' }",
                0o640,
                0o600,
                &["channels.soc.url: "],
            ),
            (
                "[channels]\nsoc = { kind = 'alertmanager', url = 'https://a', bearer_token = 'hunter2' }",
                0o640,
                0o600,
                &["channels.soc.bearer_token: "],
            ),
            ("[channels]\nsoc = { kind = 'alertmanager', url = 'https://a' }", 0o644, 0o600, &[]),
            (
                "[channels]\nsoc = { kind = 'email', sender_id = 'a', recipients = ['a@example.com'] }",
                0o644,
                0o600,
                &[],
            ),
        ];
        for (text, mode, of_password, expected) in cases {
            write(&file, text).unwrap();
            set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            set_permissions(&password, Permissions::from_mode(of_password)).unwrap();
            let config = crate::config::load(Some(&file)).unwrap();
            let warnings = exposed(Some(&file), &config);
            assert_eq!(warnings.len(), expected.len(), "{text}: {warnings:?}");
            for (warning, expected) in warnings.iter().zip(expected) {
                assert!(warning.contains(expected) && warning.contains("chmod 600 /"), "{warning}");
                assert!(!warning.contains("hunter2"), "{warning}");
            }
        }
    }
}
