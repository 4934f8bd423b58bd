//! The commands as processes, and their parts, beside a real OpenSearch, an emulated S3 and SQS, and fakes of what
//! those cannot be made to do. `make test` starts the servers; without them most of these tests skip and say so.

mod alertmanager;
mod backlog;
mod backtest;
mod bad_input;
mod confinement;
mod contain;
mod dashboards;
mod doctor;
mod drill;
mod incidents;
mod learn;
mod memory;
mod memory_daemon;
mod memory_killed;
mod inventory;
mod investigate;
mod whois;
mod monitors;
mod outages;
mod permissions;
mod real_records;
mod reload;
mod replay;
mod retag;
mod rotation;
mod setup;
mod shutdown;
mod sigma;
mod sink;
mod source;
mod start_up;
mod support;
mod systemd;
mod tls;
mod verify;
