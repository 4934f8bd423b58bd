//! OpenSearch: a server on loopback that stores what it is sent, and breaks each rule of HTTP and of the bulk API.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sagetrail::memory::State;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::schedule::Memory;
use crate::schedule::POISON;
use crate::world::{Inner, REJECTED, World};

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

async fn bulk(world: &World, body: &str, too_late: Duration) -> After {
    let fault = world.lock().draw(15);
    let before = {
        let mut inner = world.lock();
        inner.tell(format!("bulk of {} documents", body.lines().count() / 2));
        match fault {
            Some(5) => {
                inner.meet("opensearch: delayed");
                inner.pause(10)
            }
            _ => Duration::from_millis(inner.random.u64(1..30)),
        }
    };
    sleep(before).await;
    let after = answer(&mut world.lock(), fault, body);
    if fault == Some(4) {
        world.lock().meet("opensearch: stored and answered too late");
        sleep(too_late).await;
    }
    after
}

fn answer(inner: &mut Inner, fault: Option<u8>, body: &str) -> After {
    match fault {
        Some(0) => {
            inner.meet("opensearch: request status");
            return After::Answer(drawn_status(inner), "{}".to_owned());
        }
        Some(1) => {
            inner.meet("opensearch: too large");
            return After::Answer(413, "{}".to_owned());
        }
        Some(2) => {
            inner.meet("opensearch: reset before");
            return After::Reset;
        }
        _ => {}
    }
    let lines: Vec<&str> = body.lines().collect();
    let mut items: Vec<Value> = lines.chunks(2).map(|pair| item(inner, fault, pair)).collect();
    match fault {
        Some(3) => {
            inner.meet("opensearch: reset after storing");
            return After::Reset;
        }
        Some(8) => inner.meet("opensearch: items not taken"),
        Some(9) => inner.meet("opensearch: items stored and denied"),
        Some(10) => {
            inner.meet("opensearch: items swapped");
            let last = items.len() - 1;
            if last == 0 {
                if let Some(item) = items[0].as_object_mut().and_then(|item| item.values_mut().next()) {
                    item["_id"] = json!("another");
                }
            } else {
                items.swap(0, last);
            }
        }
        Some(11) => {
            inner.meet("opensearch: item missing");
            let missing = inner.random.usize(..items.len());
            items.remove(missing);
        }
        Some(12) => {
            inner.meet("opensearch: item without meaning");
            let odd = inner.random.usize(..items.len());
            let status = json!([0, 100, 302, 600][inner.random.usize(..4)]);
            if let Some(item) = items[odd].as_object_mut().and_then(|item| item.values_mut().next()) {
                item["status"] = status;
            }
        }
        Some(13) => {
            inner.meet("opensearch: part stored, then an error");
            return if inner.random.bool() { After::Reset } else { After::Answer(500, "{}".to_owned()) };
        }
        Some(14) => {
            inner.meet("opensearch: a proxy's page");
            return After::Answer(200, "<html>Welcome</html>".to_owned());
        }
        _ => {}
    }
    let text = json!({"items": items}).to_string();
    match fault {
        Some(6) => {
            inner.meet("opensearch: answer cut on the wire");
            After::Cut(text)
        }
        Some(7) => {
            inner.meet("opensearch: half an answer");
            After::Answer(200, text[..text.len() / 2].to_owned())
        }
        _ => After::Answer(200, text),
    }
}

/// Stores one document, or does not, and says what became of it, or does not.
fn item(inner: &mut Inner, fault: Option<u8>, pair: &[&str]) -> Value {
    let [action, source] = pair else { panic!("an action without its document") };
    let action: Value = serde_json::from_str(action).expect("an action is JSON");
    let [(operation, place)] = &action.as_object().expect("an object").iter().collect::<Vec<_>>()[..] else {
        panic!("one action")
    };
    if *operation == "index" {
        // A write on a condition that no document meets, which stores nothing.
        assert!(place["if_seq_no"].is_u64(), "a write without `create`: {action}");
        let error = json!({"type": "version_conflict_engine_exception", "reason": "no document was found"});
        return json!({"index": {"_id": place["_id"], "status": 409, "error": error}});
    }
    let operation = operation.as_str();
    let name = |key: &str| place[key].as_str().expect("a name").to_owned();
    let (index, id) = (name("_index"), name("_id"));
    let not_now = |inner: &mut Inner| {
        let (status, kind) = [
            (429, "rejected_execution_exception"),
            (500, "exception"),
            (503, "unavailable_shards_exception"),
            (403, "cluster_block_exception"),
        ][inner.random.usize(..4)];
        json!({operation: {"_id": id, "status": status, "error": {"type": kind, "reason": "drawn"}}})
    };
    if let Some(status) = inner.blocked {
        inner.tell("  blocked");
        return json!({operation: {"_id": id, "status": status, "error": {"type": "cluster_block_exception"}}});
    }
    if operation == "update" {
        return join(inner, fault, (&index, &id), source).unwrap_or_else(|| not_now(inner));
    }
    assert_eq!(operation, "create");
    match fault {
        // Nothing of it is stored.
        Some(8 | 13) if inner.random.bool() => return not_now(inner),
        Some(9) if inner.random.bool() && index != REJECTED && !source.contains(POISON) => {
            inner.create(&index, &id, source);
            return not_now(inner);
        }
        _ => {}
    }
    if index != REJECTED && source.contains(POISON) {
        let error = json!({"type": "mapper_parsing_exception", "reason": "it is poisoned"});
        return json!({"create": {"_id": id, "status": 400, "error": error}});
    }
    match inner.create(&index, &id, source) {
        status @ 409 => {
            let error = json!({"type": "version_conflict_engine_exception", "reason": "it exists"});
            json!({"create": {"_id": id, "status": status, "error": error}})
        }
        status => json!({"create": {"_id": id, "status": status, "result": "created"}}),
    }
}

/// Joins a fact as the stored script does; None where it is not taken now.
fn join(inner: &mut Inner, fault: Option<u8>, (index, id): (&str, &str), body: &str) -> Option<Value> {
    let body: Value = serde_json::from_str(body).expect("an update is JSON");
    assert_eq!((&body["scripted_upsert"], &body["upsert"]), (&json!(true), &json!({})), "{body}");
    let told: State = serde_json::from_value(body["script"]["params"]["state"].clone()).expect("a state");
    let is_hit = matches!(fault, Some(8 | 9 | 13)) && inner.random.bool();
    if is_hit && inner.random.bool() {
        inner.meet("opensearch: conflict of updates");
        let error = json!({"type": "version_conflict_engine_exception", "reason": "another was faster"});
        return Some(json!({"update": {"_id": id, "status": 409, "error": error}}));
    }
    if is_hit && fault != Some(9) {
        return None;
    }
    let (status, result) = inner.join(index, id, &told);
    if is_hit {
        return None;
    }
    let mut item = json!({"_id": id, "status": status, "result": result});
    if inner.memory.contains_key(&(index.to_owned(), id.to_owned())) {
        item["_seq_no"] = json!(3);
    }
    Some(json!({ "update": item }))
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
