use sagetrail_core::memory::Stamp;
use tokio::time::advance;

use super::*;

const ROOM: usize = 1 << 20;

fn key(name: &str) -> Key {
    Key::resource(&format!("arn:aws:sagemaker:eu-central-1:1:model/{name}"))
}

/// A state with one field for each letter.
fn state(letters: &str) -> Arc<State> {
    let mut state = State::default();
    for letter in letters.chars() {
        state.say(&letter.to_string(), &Stamp::ALWAYS, ["said"]);
    }
    Arc::new(state)
}

#[expect(clippy::unnecessary_wraps, reason = "it stands for what a recall brings, which may be nothing")]
fn shared(letters: &str) -> Option<Arc<State>> {
    Some(state(letters))
}

fn judged_with(cache: &mut Cache, key: &Key) -> Cached {
    cache.look_up(key, Instant::now())
}

fn known(letters: &str) -> Cached {
    Cached::State(state(letters))
}

fn stored(letters: &str) -> Cached {
    Cached::Stored(state(letters))
}

#[tokio::test(start_paused = true)]
async fn a_record_is_judged_with_what_was_told_and_only_what_is_proven_need_not_be_sent() {
    let (mut cache, key) = (Cache::new(ROOM), key("a"));
    cache.recalled(&key, shared("p"), Instant::now());
    cache.tell(&key, &state("t"));
    assert_eq!(judged_with(&mut cache, &key), known("pt"));
    assert!(cache.is_proven(&key, &state("p"), Instant::now()));
    assert!(!cache.is_proven(&key, &state("t"), Instant::now()), "another message may have failed with it");

    // A second message tells the same. The first fails, and the second is stored.
    cache.tell(&key, &state("t"));
    cache.withdraw(&key);
    assert_eq!(judged_with(&mut cache, &key), known("pt"));
    assert!(!cache.is_proven(&key, &state("t"), Instant::now()));
    cache.prove(&key, &state("t"), Instant::now());
    assert_eq!(judged_with(&mut cache, &key), stored("pt"));
    assert!(cache.is_proven(&key, &state("t"), Instant::now()));
}

#[tokio::test(start_paused = true)]
async fn what_was_told_and_never_stored_is_forgotten_with_its_last_message() {
    let (mut cache, key) = (Cache::new(ROOM), key("a"));
    cache.recalled(&key, None, Instant::now());
    cache.tell(&key, &state("a"));
    cache.tell_more(&key, &state("b"));
    assert_eq!(judged_with(&mut cache, &key), known("ab"));
    cache.withdraw(&key);
    assert_eq!(judged_with(&mut cache, &key), Cached::Nothing);
    assert!(cache.told.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_part_is_no_whole_until_it_is_recalled() {
    let (mut cache, key) = (Cache::new(ROOM), key("a"));
    cache.tell(&key, &state("a"));
    assert_eq!(judged_with(&mut cache, &key), Cached::Missing);
    cache.prove(&key, &state("a"), Instant::now());
    assert_eq!(judged_with(&mut cache, &key), Cached::Missing);
    assert!(cache.is_proven(&key, &state("a"), Instant::now()), "it is stored all the same");
    assert_eq!(cache.recalled(&key, shared("ab"), Instant::now()), stored("ab"));
    assert_eq!(judged_with(&mut cache, &key), stored("ab"));
}

#[tokio::test(start_paused = true)]
async fn what_is_recalled_replaces_what_was_known_but_not_what_was_stored_meanwhile() {
    let (mut cache, key) = (Cache::new(ROOM), key("a"));
    cache.recalled(&key, shared("ab"), Instant::now());
    advance(Duration::from_secs(1)).await;
    let asked_at = Instant::now();
    cache.tell(&key, &state("c"));
    cache.prove(&key, &state("c"), Instant::now());
    assert_eq!(cache.recalled(&key, shared("a"), asked_at), stored("abc"), "it may be of before the storage");
    advance(Duration::from_secs(1)).await;
    assert_eq!(cache.recalled(&key, None, Instant::now()), Cached::Nothing, "somebody has removed it");
    assert!(!cache.is_proven(&key, &state("c"), Instant::now()), "so it has to be sent again");
}

#[tokio::test(start_paused = true)]
async fn what_is_known_counts_for_a_minute_also_that_nothing_is() {
    let mut cache = Cache::new(ROOM);
    let [there, nothing, part] = ["there", "nothing", "part"].map(key);
    cache.recalled(&there, shared("a"), Instant::now());
    cache.recalled(&nothing, None, Instant::now());
    cache.tell(&part, &state("a"));
    cache.prove(&part, &state("a"), Instant::now());
    advance(LASTS.saturating_sub(Duration::from_millis(1))).await;
    assert_eq!(judged_with(&mut cache, &there), stored("a"));
    assert_eq!(judged_with(&mut cache, &nothing), Cached::Nothing);
    assert!(cache.is_proven(&part, &state("a"), Instant::now()));
    // Storing something more makes nothing younger that was recalled.
    cache.tell(&there, &state("b"));
    cache.prove(&there, &state("b"), Instant::now());
    cache.tell(&nothing, &state("t"));
    advance(Duration::from_millis(1)).await;
    for key in [&there, &nothing, &part] {
        assert_eq!(judged_with(&mut cache, key), Cached::Missing);
        assert!(!cache.is_proven(key, &state("a"), Instant::now()));
    }
    assert_eq!((cache.len(), cache.bytes()), (0, 0));
    assert_eq!(
        cache.recalled(&nothing, None, Instant::now()),
        known("t"),
        "what was told is still on its way"
    );
}

#[tokio::test(start_paused = true)]
async fn the_least_recently_used_goes_and_the_bound_holds() {
    let size = |cache: &mut Cache| {
        cache.recalled(&key("0000"), shared("abc"), Instant::now());
        cache.bytes()
    };
    let one = size(&mut Cache::new(ROOM));
    let mut cache = Cache::new(one * 10);
    let keys: Vec<Key> = (0..1_000).map(|number| key(&format!("{number:04}"))).collect();
    for key in &keys {
        cache.recalled(key, shared("abc"), Instant::now());
        assert_eq!(judged_with(&mut cache, &keys[0]), stored("abc"), "it is used all the time");
        assert!(cache.bytes() <= one * 10);
    }
    assert_eq!(cache.len(), 10);
    let kept = keys.iter().filter(|key| judged_with(&mut cache, key) != Cached::Missing).collect::<Vec<_>>();
    assert_eq!(kept, [&keys[..1], &keys[991..]].concat().iter().collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_not_kept_and_what_was_told_of_it_is() {
    let (mut cache, key) = (Cache::new(1), key("a"));
    cache.tell(&key, &state("t"));
    assert_eq!(cache.recalled(&key, shared("a"), Instant::now()), known("at"));
    assert_eq!((cache.len(), cache.bytes()), (0, 0));
    assert_eq!(judged_with(&mut cache, &key), Cached::Missing);
    cache.withdraw(&key);
    assert!(cache.told.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_session_is_told_whatever_is_known_of_it() {
    let (mut cache, key) = (Cache::new(ROOM), Key::session("ASIA1"));
    cache.recalled(&key, shared("a"), Instant::now());
    assert_eq!(judged_with(&mut cache, &key), known("a"), "it may be stored in another month's index");
    assert!(!cache.is_proven(&key, &state("a"), Instant::now()));
}

#[tokio::test(start_paused = true)]
async fn what_is_told_between_two_records_is_seen_by_the_second_whatever_was_recalled_meanwhile() {
    let (mut cache, key) = (Cache::new(ROOM), key("a"));
    cache.recalled(&key, shared("p"), Instant::now());
    cache.tell(&key, &state("t"));
    assert_eq!(judged_with(&mut cache, &key), known("pt"));
    cache.tell_more(&key, &state("u"));
    cache.tell(&key, &state("v"));
    assert_eq!(judged_with(&mut cache, &key), known("ptuv"));
    cache.prove(&key, &state("tu"), Instant::now());
    assert_eq!(judged_with(&mut cache, &key), known("ptuv"), "the other one is still on its way");
    advance(Duration::from_secs(1)).await;
    assert_eq!(cache.recalled(&key, shared("q"), Instant::now()), known("qtuv"));
    assert_eq!(judged_with(&mut cache, &key), known("qtuv"));
    cache.withdraw(&key);
    assert_eq!(judged_with(&mut cache, &key), stored("q"));
}

#[tokio::test(start_paused = true)]
async fn what_grows_where_it_stands_is_counted_and_makes_the_bound_hold() {
    let mut cache = Cache::new(2_048);
    let (letters, key) = (('a'..='z').collect::<String>(), key("grows"));
    for (number, letter) in letters.chars().enumerate() {
        let fact = state(&letter.to_string());
        cache.tell(&key, &fact);
        cache.prove(&key, &fact, Instant::now());
        let held = cache.proven.peek(&key).map_or(0, |proven| bytes_of(&key, proven.state.as_deref()));
        assert_eq!(cache.bytes(), held, "after {number}");
        assert!(cache.bytes() <= 2_048);
    }
    assert!(bytes_of(&key, Some(&state(&letters))) > 2_048, "all of it does not fit");
}
