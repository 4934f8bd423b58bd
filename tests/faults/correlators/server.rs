//! OpenSearch on loopback, with a door for each correlator that can be shut.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

use super::asked;
use super::schedule::Passing;
use super::store::{Inner, World, written};

/// The way of one correlator to OpenSearch.
pub struct Door {
    pub address: SocketAddr,
    pub passing: watch::Sender<Passing>,
}

impl Door {
    pub async fn open(world: &Arc<World>, host: [u8; 4], up: &watch::Sender<bool>) -> Self {
        let listener = TcpListener::bind(SocketAddr::from((host, 0))).await.expect("loopback is there");
        let address = listener.local_addr().expect("it is bound");
        let (passing, at_door) = watch::channel(Passing::Open);
        let (world, up) = (Arc::clone(world), up.subscribe());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                world.stirred();
                let (world, at_door, up) = (Arc::clone(&world), at_door.clone(), up.clone());
                // A client that goes away has no use for the rest.
                tokio::spawn(async move { talk(stream, world, at_door, up).await });
            }
        });
        Self { address, passing }
    }
}

struct Request {
    method: String,
    path: String,
    body: String,
}

async fn talk(
    mut stream: TcpStream,
    world: Arc<World>,
    mut at_door: watch::Receiver<Passing>,
    up: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut stream, &mut buffer, &world).await? {
        let passing = *at_door.borrow();
        match passing {
            Passing::Open => {}
            Passing::CutOff => {
                let _ = at_door.wait_for(|passing| *passing != Passing::CutOff).await;
                return stream.set_zero_linger();
            }
            Passing::Frozen => {
                // Also when the client has gone away.
                let _ = at_door.wait_for(|passing| *passing != Passing::Frozen).await;
            }
            Passing::BulksFrozen => {
                if request.path.starts_with("/_bulk") {
                    let _ = at_door.wait_for(|passing| *passing != Passing::BulksFrozen).await;
                }
            }
            Passing::AnswersLost => {
                let _ = answer(&world, &request);
                let _ = at_door.wait_for(|passing| *passing != Passing::AnswersLost).await;
                return stream.set_zero_linger();
            }
        }
        let fault = world.lock().draw(4);
        if !*up.borrow() || fault == Some(0) {
            if fault == Some(0) {
                world.lock().meet("opensearch: reset");
            }
            world.stirred();
            return stream.set_zero_linger();
        }
        let before = match fault {
            Some(1) => {
                world.lock().meet("opensearch: delayed");
                Duration::from_millis(world.lock().random.u64(..8_000))
            }
            _ => {
                let mut inner = world.lock();
                let most = inner.slowness;
                Duration::from_millis(inner.random.u64(1..=most))
            }
        };
        sleep(before).await;
        let (status, body) = match fault {
            Some(2) => {
                world.lock().meet("opensearch: status");
                (503, json!({}))
            }
            _ => answer(&world, &request),
        };
        if fault == Some(3) {
            world.lock().meet("opensearch: reset after storing");
            world.stirred();
            return stream.set_zero_linger();
        }
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} Drawn\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        world.stirred();
        stream.write_all(format!("{head}{body}").as_bytes()).await?;
    }
    Ok(())
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>, world: &World) -> io::Result<Option<Request>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|at| at + 4) {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            let length = length.unwrap_or(0);
            if buffer.len() >= end + length {
                let body = String::from_utf8_lossy(&buffer[end..end + length]).into_owned();
                buffer.drain(..end + length);
                let mut first = head.split(' ').map(str::to_owned);
                let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
                return Ok(Some(Request { method, path, body }));
            }
        }
        let read = stream.read_buf(buffer).await?;
        world.stirred();
        if read == 0 {
            return Ok(None);
        }
    }
}

fn answer(world: &World, request: &Request) -> (u16, Value) {
    let inner = &mut *world.lock();
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match (request.method.as_str(), parts.as_slice()) {
        ("POST", ["_bulk"]) => bulk(inner, &request.body),
        ("POST", ["_msearch"]) => {
            let lines: Vec<Value> =
                request.body.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            let one = |pair: &[Value]| {
                asked::answer(&inner.documents, pair[0]["index"].as_str().expect("an index"), &pair[1])
            };
            (200, json!({"responses": lines.chunks(2).map(one).collect::<Vec<_>>()}))
        }
        ("POST", [indices, "_search"]) => {
            let body = serde_json::from_str(&request.body).expect("a search is JSON");
            (200, asked::answer(&inner.documents, indices, &body))
        }
        ("GET", [index, "_doc", id]) => match inner.documents.get(&((*index).to_owned(), (*id).to_owned())) {
            Some(stored) => {
                (200, json!({"_seq_no": stored.seq_no, "_primary_term": 1, "_source": stored.source}))
            }
            None => (404, json!({"found": false})),
        },
        ("PUT", [index, how @ ("_create" | "_doc"), id]) => {
            let condition = query.split('&').find_map(|part| part.strip_prefix("if_seq_no=")?.parse().ok());
            let how = if *how == "_create" { "create" } else { "index" };
            let source = serde_json::from_str(&request.body).expect("a document is JSON");
            let done = inner.write(how, index, id, condition, source);
            (done.0, written(done))
        }
        _ => {
            inner.breach(format!("nobody answers {} {}", request.method, request.path));
            (400, json!({}))
        }
    }
}

fn bulk(inner: &mut Inner, body: &str) -> (u16, Value) {
    let mut lines = body.lines();
    let mut items = Vec::new();
    while let Some(action) = lines.next() {
        let action: Value = serde_json::from_str(action).expect("an action is JSON");
        let (how, place) = asked::only(&action);
        let source = match how {
            "delete" => Value::Null,
            _ => serde_json::from_str(lines.next().expect("a source")).expect("a source is JSON"),
        };
        let name = |member: &str| place[member].as_str().expect("a name");
        let done = if inner.writes_are_blocked {
            (403, None)
        } else {
            inner.write(how, name("_index"), name("_id"), place["if_seq_no"].as_u64(), source)
        };
        items.push(json!({how: written(done)}));
    }
    (200, json!({ "items": items }))
}
