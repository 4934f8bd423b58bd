//! Names what CloudTrail left out of a record.

/// Why something is not in a record, and of which part it is missing.
pub type LeftOut = (Why, Part);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    TooLarge,
    Hidden,
    /// The call must have had parameters, and the record shows none.
    NoParameters,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Request,
    Answer,
}
