//! The name of one thing that records tell of.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::{Arc, LazyLock};

use memchr::memmem::Finder;
use sha2::{Digest, Sha256};
use strum::{Display, EnumIter, IntoStaticStr};

/// What memory keeps of one kind in an index of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Display, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// Resources of SageMaker, and what they stand on: roles, buckets, repositories, keys, functions, pools of users,
    /// subnets, security groups.
    Resources,
    /// Roles and users, by account and id.
    Identities,
    /// Temporary credentials, by the id of their access key.
    Sessions,
}

/// Which thing it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub kind: Kind,
    /// An ARN, an account with an id, or the id of an access key.
    pub id: Arc<str>,
    /// Of the id, made once: a key is looked up several times.
    hash: u64,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// What stands before the path and the name of a role.
static ROLE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(":role/"));

/// What makes the hashes of all keys, which nobody outside can foresee.
static HASHES: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Takes the hash that a key has already.
#[derive(Debug, Clone, Default)]
pub struct HashOfKey(u64);

impl Hasher for HashOfKey {
    fn write(&mut self, _: &[u8]) {
        unreachable!("a key writes its hash alone");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Makes what takes the hash of a key.
pub type BuildHashOfKey = BuildHasherDefault<HashOfKey>;

/// A map by key.
pub type KeyMap<T> = HashMap<Key, T, BuildHashOfKey>;

/// Bytes of the SHA-256 in the id of a document.
const HASH_BYTES: usize = 16;

impl Key {
    /// A key whose id is written as it is meant; the other constructors write it in the one form for their kind.
    pub fn new(kind: Kind, id: impl Into<Arc<str>>) -> Self {
        let id = id.into();
        let hash = HASHES.hash_one(&*id);
        Self { kind, id, hash }
    }

    /// The key of a resource by its ARN: in lower case, in the commercial partition, and a role without its path.
    pub fn resource(arn: &str) -> Self {
        // SageMaker takes names in any case and writes them as it likes; no service of AWS tells two names by case
        // alone. The path of a role is left out, because calls of IAM name it without.
        let mut id = arn.to_ascii_lowercase();
        // Accounts and regions are of one partition each, so what builds an ARN from a name need not know which.
        if let Some((_, rest)) = id.strip_prefix("arn:aws-").and_then(|arn| arn.split_once(':')) {
            id = format!("arn:aws:{rest}");
        }
        if let Some(at) = ROLE.find(id.as_bytes()) {
            let path_at = at + ROLE.needle().len();
            if let Some(slash) = id[path_at..].rfind('/') {
                id.replace_range(path_at..=path_at + slash, "");
            }
        }
        Self::new(Kind::Resources, id)
    }

    /// The key of a role or user in an account. Of the principal's id, what stands behind a colon is the session's
    /// name.
    pub fn identity(account: &str, principal_id: &str) -> Self {
        let (id, _) = principal_id.split_once(':').unwrap_or((principal_id, ""));
        Self::new(Kind::Identities, [account, "/", id].concat())
    }

    /// All identities of an account together.
    pub fn account(account: &str) -> Self {
        Self::new(Kind::Identities, [account, "/*"].concat())
    }

    /// The key of credentials, by the id of their access key.
    pub fn session(access_key_id: &str) -> Self {
        Self::new(Kind::Sessions, access_key_id)
    }

    /// The `_id` of its document: hexadecimal digits, because the key's own text is a record's.
    pub fn document_id(&self) -> String {
        hex::encode(&Sha256::digest(self.id.as_bytes())[..HASH_BYTES])
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.kind, self.id)
    }
}
