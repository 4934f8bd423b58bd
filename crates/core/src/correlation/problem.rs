//! What is wrong with the document of a correlation.

/// What is wrong with the document of a correlation, and the member that it is wrong in.
#[derive(Debug)]
pub struct Problem {
    pub member: String,
    pub text: String,
}

impl Problem {
    /// A problem in this member; the text says what a person must change.
    pub fn new(member: impl Into<String>, text: impl Into<String>) -> Self {
        Self { member: member.into(), text: text.into() }
    }
}
