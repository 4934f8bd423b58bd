//! Names what CloudTrail left out of a record.

/// Why something is not in a record, and of which part it is missing.
pub type LeftOut = (Why, Part);

/// Why something is not in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    TooLarge,
    Hidden,
    /// The call must have had parameters, and the record shows none.
    NoParameters,
}

/// The part of a record that lacks something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Request,
    Answer,
}
