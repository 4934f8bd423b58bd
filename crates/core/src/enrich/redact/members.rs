//! Knows how redaction looks at what is under a member, by the member's name.

/// Known names of members, compared without regard to case.
pub struct Members {
    /// By their first byte. Few begin with the same one and are as long, so that a name is found in fewer steps than it
    /// takes to hash it.
    places: [Vec<(Vec<u8>, Place)>; 256],
    /// For each first byte, a bit for each length that a known name has. Hardly any other name gets past it.
    lengths: [u64; 256],
}

/// Bytes of the longest name that can be known.
const MOST_NAME_BYTES: usize = u64::BITS as usize - 1;

impl Members {
    /// The names are in lower case.
    pub fn new(known: impl IntoIterator<Item = (String, Place)>) -> Result<Self, String> {
        let mut members = Self { places: [const { Vec::new() }; 256], lengths: [0; 256] };
        for (name, place) in known {
            match *name.as_bytes() {
                [first, ..] if name.len() <= MOST_NAME_BYTES => {
                    members.lengths[usize::from(first)] |= 1 << name.len();
                    members.know(first, name.into_bytes(), place);
                }
                _ => return Err(format!("the member \"{name}\" has no length from 1 to {MOST_NAME_BYTES}")),
            }
        }
        Ok(members)
    }

    /// Of a name that is given twice, the last place counts.
    fn know(&mut self, first: u8, name: Vec<u8>, place: Place) {
        let known = &mut self.places[usize::from(first)];
        known.retain(|(other, _)| *other != name);
        known.push((name, place));
    }

    /// How the value of the member is looked at, if its name is known.
    pub fn place(&self, name: &str) -> Option<Place> {
        let first = name.as_bytes().first()?.to_ascii_lowercase();
        let mut buffer = [0; MOST_NAME_BYTES];
        let lowered = buffer.get_mut(..name.len())?;
        if self.lengths[usize::from(first)] >> name.len() & 1 == 0 {
            return None;
        }
        lowered.copy_from_slice(name.as_bytes());
        lowered.make_ascii_lowercase();
        let mut known = self.places[usize::from(first)].iter();
        known.find(|(known, _)| known == lowered).map(|(_, place)| *place)
    }
}

/// Where in a record a value stands, which decides how it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Elsewhere,
    /// Who called, what was called, or where: kept as it is.
    Identity,
    /// The address of something: its host and its path are kept.
    Location,
    /// A command line or code in the clear.
    Command,
    /// Inside an environment or a set of hyperparameters; values of variables are often commands too.
    Variables,
    /// Inside tags, or JSON in a text of which nothing is known.
    Labels,
    /// Code as base64.
    Script,
    /// A link that opens a door by itself.
    Link,
    /// The value of a variable whose name is suspect.
    Suspect,
    /// The value of a variable that is a secret when it is neither a path nor a small number.
    Likely,
    /// The value of a variable that is a secret when it looks random.
    Possible,
    /// Under a member whose every value is a secret.
    Secret,
}

/// How a text is meant, which decides how much a name in it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Prose,
    Label,
    Code,
}

impl Place {
    /// How texts at this place are meant.
    pub fn tone(self) -> Tone {
        match self {
            Self::Command | Self::Variables | Self::Script => Tone::Code,
            Self::Labels => Tone::Label,
            _ => Tone::Prose,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_name_is_known_in_any_case_and_nothing_else_is() {
        let known = ["token", "x-api-key"].map(|name| (name.to_owned(), Place::Secret));
        let members = Members::new(known).unwrap();
        for name in ["token", "Token", "X-API-Key"] {
            assert_eq!(members.place(name), Some(Place::Secret), "{name}");
        }
        for name in ["", "tokens", "toker", "x_api_key", "é", "t".repeat(200).as_str()] {
            assert_eq!(members.place(name), None, "{name}");
        }
    }

    #[test]
    fn a_name_that_could_never_be_found_is_refused() {
        for name in [String::new(), "a".repeat(64)] {
            assert!(Members::new([(name, Place::Secret)]).is_err());
        }
    }
}
