//! The sink: documents in, proof of storage out.
