//! OpenSearch: a server on loopback that stores what it is sent, and breaks each rule of HTTP and of the bulk API.

mod bulk;

use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::schedule::Memory;
use crate::world::{Inner, World};
use bulk::bulk;

/// What the templates' version is said to be, so that no daemon installs any unless a fault makes it believe otherwise.
const NEWEST: u64 = 1 << 20;

pub struct Cluster {
    pub address: SocketAddr,
    /// False takes the server off the network.
    pub up: watch::Sender<bool>,
}

struct Request {
    head: String,
    body: String,
}

/// What happens to the connection after a request.
enum After {
    Answer(u16, String),
    /// The answer ends before the length that was announced.
    Cut(String),
    Reset,
}

impl Cluster {
    /// The server has an address of its own in the loopback network, so that its port is free when it comes back.
    pub async fn start(
        world: &Arc<World>,
        host: [u8; 4],
        too_late: Duration,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind(SocketAddr::from((host, 0))).await.expect("loopback is there");
        let address = listener.local_addr().expect("it is bound");
        let (up, down) = watch::channel(true);
        let task = tokio::spawn(serve(listener, address, Arc::clone(world), down, too_late));
        (Self { address, up }, task)
    }
}

async fn serve(
    mut listener: TcpListener,
    address: SocketAddr,
    world: Arc<World>,
    mut up: watch::Receiver<bool>,
    too_late: Duration,
) {
    loop {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    world.stirred();
                    let Ok((stream, _)) = accepted else { continue };
                    let world = Arc::clone(&world);
                    connections.spawn(async move {
                        // A client that goes away has no use for the rest.
                        let _ = talk(stream, &world, too_late).await;
                    });
                }
                changed = up.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    if !*up.borrow() {
                        break;
                    }
                }
            }
        }
        drop((listener, connections));
        world.lock().meet("opensearch: down");
        if up.wait_for(|up| *up).await.is_err() {
            return;
        }
        listener = TcpListener::bind(address).await.expect("nobody else has this address");
        world.lock().tell("opensearch is up again");
    }
}

async fn talk(mut stream: TcpStream, world: &World, too_late: Duration) -> io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut buffer, world).await? {
        let after = if request.head.starts_with("POST /_bulk") {
            bulk(world, &request.body, too_late).await
        } else if request.head.starts_with("POST /_mget") {
            recall(world, &request.body).await
        } else if request.head.starts_with("POST /sagetrail-verified/_search") {
            // Nobody has verified anything here.
            After::Answer(200, json!({"hits": {"hits": []}}).to_string())
        } else if request.head.starts_with("POST /sagetrail-resources/_search") {
            After::Answer(200, names(world))
        } else {
            other(world, &request.head)
        };
        let written = match after {
            After::Answer(status, body) => {
                let head = head(status, body.len());
                stream.write_all(format!("{head}{body}").as_bytes()).await
            }
            After::Cut(body) => {
                let text = format!("{}{}", head(200, body.len()), &body[..body.len() / 2]);
                stream.write_all(text.as_bytes()).await?;
                return Ok(());
            }
            After::Reset => return stream.set_zero_linger(),
        };
        world.stirred();
        written?;
    }
    Ok(())
}

/// What is stored of resources, of which the daemon asks for the keys.
fn names(world: &World) -> String {
    let inner = world.lock();
    let resources = inner.memory.iter().filter(|((index, _), _)| index == "sagetrail-resources");
    let hits: Vec<Value> =
        resources.filter_map(|(_, state)| Some(json!({"_source": {"key": state.value("key")?}}))).collect();
    json!({"hits": {"hits": hits}}).to_string()
}

fn head(status: u16, length: usize) -> String {
    format!("HTTP/1.1 {status} Drawn\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n")
}

async fn read_request(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    world: &World,
) -> io::Result<Option<Request>> {
    loop {
        let end = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|at| at + 4);
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let lower = head.to_lowercase();
            let length =
                lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
            let length: usize = length.unwrap_or(0);
            if buffer.len() >= end + length {
                let raw = buffer[end..end + length].to_vec();
                buffer.drain(..end + length);
                let body = if lower.contains("content-encoding: gzip") {
                    let mut text = String::new();
                    flate2::read::GzDecoder::new(&raw[..]).read_to_string(&mut text)?;
                    text
                } else {
                    String::from_utf8(raw).map_err(io::Error::other)?
                };
                return Ok(Some(Request { head, body }));
            }
        }
        let read = stream.read_buf(buffer).await?;
        world.stirred();
        if read == 0 {
            return Ok(None);
        }
    }
}

/// Everything that a daemon asks at its start.
fn other(world: &World, head: &str) -> After {
    let mut inner = world.lock();
    // A daemon asks five things before it works; most of its starts shall succeed.
    if inner.draw(8) == Some(0) {
        let fault = drawn_status(&mut inner);
        inner.meet("opensearch: request status");
        return After::Answer(fault, "{}".to_owned());
    }
    let body = if head.starts_with("GET / ") {
        json!({"version": {"distribution": "opensearch", "number": "2.19.4"}})
    } else {
        assert!(["GET", "PUT"].iter().any(|method| head.starts_with(&format!("{method} /_"))), "{head}");
        json!({
            "component_templates": [{"name": "x", "component_template": {"version": NEWEST}}],
            "index_templates": [{"name": "x", "index_template": {"version": NEWEST}}],
        })
    };
    After::Answer(200, body.to_string())
}

/// What is known of each document that is asked for, or an answer of no use.
async fn recall(world: &World, body: &str) -> After {
    let recalls = world.lock().recalls;
    match recalls {
        Memory::Silent => return std::future::pending().await,
        Memory::Slow(before) => sleep(before).await,
        Memory::Prompt => {}
    }
    let fault = world.lock().draw(8);
    let before = {
        let mut inner = world.lock();
        match fault {
            Some(0) => {
                inner.meet("opensearch: recall delayed");
                inner.pause(10)
            }
            _ => Duration::from_millis(inner.random.u64(1..30)),
        }
    };
    sleep(before).await;
    let mut inner = world.lock();
    let question: Value = serde_json::from_str(body).expect("a question is JSON");
    let asked = question["docs"].as_array().expect("documents");
    let mut docs: Vec<Value> = asked.iter().map(|asked| inner.recalled(asked)).collect();
    match fault {
        Some(1) => {
            inner.meet("opensearch: recall refused");
            return After::Answer(drawn_status(&mut inner), "{}".to_owned());
        }
        Some(2) => {
            inner.meet("opensearch: recall reset");
            return After::Reset;
        }
        Some(3) => {
            inner.meet("opensearch: recall lacks a document");
            docs.pop();
        }
        Some(4) if docs.len() > 1 => {
            inner.meet("opensearch: recall in another order");
            docs.reverse();
        }
        Some(5) => {
            inner.meet("opensearch: recall with an error");
            docs[0] =
                json!({"_index": asked[0]["_index"], "_id": asked[0]["_id"], "error": {"type": "exception"}});
        }
        Some(6) => {
            inner.meet("opensearch: recall cut");
            return After::Cut(json!({ "docs": docs }).to_string());
        }
        Some(7) => {
            inner.meet("opensearch: recall of a proxy");
            return After::Answer(200, "<html>Welcome</html>".to_owned());
        }
        _ => {}
    }
    After::Answer(200, json!({ "docs": docs }).to_string())
}

fn drawn_status(inner: &mut Inner) -> u16 {
    [500, 502, 503, 504, 429, 401, 403, 404][inner.random.usize(..8)]
}
