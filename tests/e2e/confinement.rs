//! The daemon as its image runs it: a root file system that holds the binary, the C library and the certificates alone
//! and cannot be written to, a user that is not root, no capabilities.

use std::process::Command;
use std::time::Duration;

use crate::support::cloud::{Cloud, QueueSettings};
use crate::support::daemon::Daemon;
use crate::support::search::Search;
use crate::support::{Stack, trail};

/// The user of the image.
const USER: &str = "65532";

/// Builds the file system in memory, in a mount namespace that ends with the process, and becomes the binary within it.
const CONFINE: &str = r#"
set -eu
binary=$1 user=$2
shift 2
root=/mnt
mount -t tmpfs tmpfs "$root"
for library in $(ldd "$binary" | grep --only-matching '/[^ ]*'); do
  install -D "$library" "$root$library"
done
install -D --mode=644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
mkdir -p "$root/usr/bin" "$root/proc" "$root/tmp"
touch "$root/usr/bin/sagetrail"
mount --bind "$binary" "$root/usr/bin/sagetrail"
mount --rbind /proc "$root/proc"
mount -o remount,ro "$root"
exec setpriv --no-new-privs chroot --userspec="$user:$user" --groups= "$root" /usr/bin/sagetrail "$@"
"#;

fn confined() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", CONFINE, "sh", env!("CARGO_BIN_EXE_sagetrail"), USER]);
    command
}

/// Whether this machine lets the test make a mount namespace; says so when not.
fn can_confine() -> bool {
    let made = Command::new("unshare").args(["--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
    let can = made.is_ok_and(|output| output.status.success());
    if !can {
        println!("skipped: only root may make a mount namespace, or this machine lets nobody");
    }
    can
}

/// The value of a line of `/proc/PID/status`.
fn value<'s>(status: &'s str, name: &str) -> &'s str {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {status}")).trim()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ships_without_root_without_capabilities_and_with_nothing_to_write_to() {
    let Some(stack) = Stack::running() else { return };
    if !can_confine() {
        return;
    }
    let account = "500000000077";
    let cloud = Cloud::create(&stack, "confined", QueueSettings::default()).await;
    let mut daemon = Daemon::start_by(confined(), &stack, &cloud, &[("select.scope", "all")]);
    daemon.until_ready().await;

    let status = daemon.proc("status");
    assert_eq!(value(&status, "Uid"), [USER; 4].join("\t"));
    assert_eq!(value(&status, "Gid"), [USER; 4].join("\t"));
    assert_eq!(value(&status, "CapEff"), "0".repeat(16));
    assert_eq!(value(&status, "CapPrm"), "0".repeat(16));
    assert_eq!(value(&status, "NoNewPrivs"), "1");

    let records: Vec<_> = (0..50).map(|number| trail::record(account, number)).collect();
    cloud.upload(&trail::key(account, 0), trail::file(&records)).await;
    cloud.until_empty(Duration::from_secs(30)).await;
    assert_eq!(Search::new(&stack.opensearch).count(account).await, 50);

    for question in [&["health"][..], &["health", "--live"][..]] {
        let health = confined()
            .args(question)
            .env("SAGETRAIL__ADMIN__LISTEN", daemon.admin().expect("it listens"))
            .output()
            .expect("it starts");
        assert!(health.status.success(), "{question:?}: {}", String::from_utf8_lossy(&health.stderr));
    }
    daemon.stop().await;
}

#[test]
fn the_confinement_is_real() {
    if !can_confine() {
        return;
    }
    let written = confined().args(["manual", "/tmp"]).output().expect("it starts");
    assert!(!written.status.success());
    let complaint = String::from_utf8_lossy(&written.stderr);
    assert!(complaint.contains("Read-only file system"), "{complaint}");
    let read = confined().args(["enrich", "/etc/passwd"]).output().expect("it starts");
    assert_eq!(read.status.code(), Some(66), "only what the image has is there");
}
