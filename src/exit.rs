//! The exit codes of the commands, by the conventions of shells and of `sysexits.h`.

/// The work failed.
pub(crate) const FAILED: u8 = 1;
/// `setup --diff` found something to change.
pub(crate) const DIFFERENT: u8 = 3;
/// `verify` found gaps.
pub(crate) const GAP: u8 = 3;
/// `guard simulate` found somebody who would have been denied something.
pub(crate) const DENIED: u8 = 3;
/// `drill` found a step that was not done in time.
pub(crate) const BROKEN: u8 = 3;
/// `setup` left objects as they were.
pub(crate) const INCOMPLETE: u8 = 4;
/// `EX_DATAERR`: the data is damaged.
pub(crate) const DATA: u8 = 65;
/// `EX_NOINPUT`: a file cannot be read.
pub(crate) const NO_INPUT: u8 = 66;
/// `EX_CONFIG`: the configuration or a rule is wrong.
pub(crate) const CONFIG: u8 = 78;
/// A signal ended the command: 128 and the number of SIGINT, as shells do it.
pub(crate) const INTERRUPTED: u8 = 130;

/// What each code means to a user. `docs/commands.md` is made from it.
const MEANINGS: &[(u8, &str)] = &[
    (0, "Success"),
    (FAILED, "The work failed: a server refused, something is broken, or what was asked for is not known"),
    (2, "The command line is wrong"),
    (
        GAP,
        "`verify` found gaps, `setup --diff` a change, `guard simulate` somebody who would be denied, or `drill` a broken link",
    ),
    (
        INCOMPLETE,
        "`setup` kept an object that somebody changed, or skipped one; `--allow-incomplete` makes it 0",
    ),
    (
        DATA,
        "`enrich`, `investigate`, `contain` or `guard` met a damaged file, or `backtest` a damaged file or object",
    ),
    (
        NO_INPUT,
        "`enrich`, `investigate`, `contain` or `guard` could not read a file, or `backtest` a file or an object",
    ),
    (CONFIG, "The configuration or a rule is wrong"),
    (INTERRUPTED, "A signal interrupted `replay`"),
];

/// The section of `--help` that lists the codes.
pub(crate) fn help() -> String {
    let lines = MEANINGS.iter().map(|(code, meaning)| format!("\n  {code:<3}  {meaning}"));
    format!("Exit codes:{}", lines.collect::<String>())
}
