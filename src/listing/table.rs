//! Lists the rules in columns that fit a terminal.

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};

use time::OffsetDateTime;

use super::{Listed, list, summary};
use crate::enrich::rules::RuleSet;

/// The width of the table where the output has none, as in a pipe.
pub const DEFAULT_WIDTH: u16 = 100;

/// Characters of the column that holds ids, which stay whole with them and can be copied.
const RULE_WIDTH: Width = Width::Fixed(38);

/// Writes the rules, no line wider than this many characters where words allow it, and their number.
pub fn table(rules: &RuleSet, at: OffsetDateTime, width: u16) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width)
        .set_header(["LEVEL", "RULE", "CATEGORIES", "TECHNIQUES"])
        .set_constraints([ColumnConstraint::ContentWidth, ColumnConstraint::LowerBoundary(RULE_WIDTH)]);
    for rule in list(rules, at) {
        table.add_row([
            rule.level.name().to_owned(),
            name(&rule),
            rule.categories.join("\n"),
            rule.technique_ids().join("\n"),
        ]);
    }
    format!("{}\n\n{}\n", table.trim_fmt(), summary(rules, at))
}

/// The title, the id and the file of a rule, the placeholders that lack values, and what the site has changed.
fn name(rule: &Listed<'_>) -> String {
    let mut lines = vec![rule.title.to_owned(), rule.id.to_owned(), rule.file.to_owned()];
    if rule.inactive {
        lines.push(format!("inactive without {}", rule.missing_placeholders.join(", ")));
    }
    lines.extend(rule.tuned.iter().map(ToString::to_string));
    lines.join("\n")
}
