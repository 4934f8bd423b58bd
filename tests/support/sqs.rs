//! A queue in memory that speaks the JSON protocol of SQS, for backlogs that moto is too slow to hold.
//!
//! It holds state as the service does: a received message is hidden under a receipt until it is deleted or its
//! visibility timeout is over.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

pub struct Sqs {
    pub url: String,
    queue: Arc<Mutex<Queue>>,
    server: JoinHandle<()>,
}

struct Queue {
    waiting: VecDeque<Message>,
    hidden: HashMap<String, (Instant, Message)>,
    receipts: u64,
    receives: usize,
    visibility_timeout: Duration,
}

struct Message {
    id: usize,
    body: String,
}

impl Sqs {
    /// Serves a queue that holds nothing yet.
    pub async fn serve(visibility_timeout: Duration) -> Self {
        let queue = Queue {
            waiting: VecDeque::new(),
            hidden: HashMap::new(),
            receipts: 0,
            receives: 0,
            visibility_timeout,
        };
        let queue = Arc::new(Mutex::new(queue));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let router = Router::new().route("/", post(answer)).with_state(Arc::clone(&queue));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { url, queue, server }
    }

    /// The address of the queue, as a configuration names it.
    pub fn queue_url(&self) -> String {
        format!("{}/000000000000/backlog", self.url)
    }

    /// Puts further messages into the queue.
    pub fn send(&self, bodies: impl IntoIterator<Item = String>) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let first = queue.waiting.len() + queue.hidden.len();
        queue
            .waiting
            .extend(bodies.into_iter().enumerate().map(|(id, body)| Message { id: first + id, body }));
    }

    /// How often the queue was asked for messages.
    pub fn receives(&self) -> usize {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).receives
    }

    /// Messages that wait, and messages that are hidden.
    pub fn depth(&self) -> (usize, usize) {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        (queue.waiting.len(), queue.hidden.len())
    }
}

impl Drop for Sqs {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(
    State(queue): State<Arc<Mutex<Queue>>>,
    headers: HeaderMap,
    body: String,
) -> impl IntoResponse {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let request: Value = serde_json::from_str(&body).unwrap_or_default();
    let operation = target.trim_start_matches("AmazonSQS.");
    let (status, answer) = match operation {
        "ReceiveMessage" => {
            let messages = receive(&queue, &request).await;
            (StatusCode::OK, json!({ "Messages": messages }))
        }
        _ => {
            let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            match operation {
                "GetQueueAttributes" => (StatusCode::OK, queue.attributes()),
                "DeleteMessageBatch" => (StatusCode::OK, queue.delete(&request)),
                "ChangeMessageVisibility" => (StatusCode::OK, queue.change_visibility(&request)),
                _ => (StatusCode::BAD_REQUEST, json!({"__type": "com.amazonaws.sqs#UnsupportedOperation"})),
            }
        }
    };
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.0")], answer.to_string())
}

async fn receive(queue: &Mutex<Queue>, request: &Value) -> Vec<Value> {
    let most = request["MaxNumberOfMessages"].as_u64().unwrap_or(1);
    queue.lock().unwrap_or_else(PoisonError::into_inner).receives += 1;
    let give_up = Instant::now() + Duration::from_secs(request["WaitTimeSeconds"].as_u64().unwrap_or(0));
    loop {
        let messages = queue.lock().unwrap_or_else(PoisonError::into_inner).take(most);
        if !messages.is_empty() || Instant::now() >= give_up {
            return messages;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

impl Queue {
    fn attributes(&self) -> Value {
        json!({"Attributes": {
            "VisibilityTimeout": self.visibility_timeout.as_secs().to_string(),
            "ApproximateNumberOfMessages": self.waiting.len().to_string()
        }})
    }

    fn take(&mut self, most: u64) -> Vec<Value> {
        let now = Instant::now();
        let over: Vec<String> = self
            .hidden
            .iter()
            .filter(|(_, (until, _))| *until <= now)
            .map(|(receipt, _)| receipt.clone())
            .collect();
        for receipt in over {
            self.waiting.extend(self.hidden.remove(&receipt).map(|(_, message)| message));
        }
        let mut taken = Vec::new();
        while (taken.len() as u64) < most
            && let Some(message) = self.waiting.pop_front()
        {
            self.receipts += 1;
            let receipt = format!("{}-{}", message.id, self.receipts);
            taken.push(
                json!({"MessageId": message.id.to_string(), "ReceiptHandle": receipt, "Body": message.body}),
            );
            self.hidden.insert(receipt, (now + self.visibility_timeout, message));
        }
        taken
    }

    fn delete(&mut self, request: &Value) -> Value {
        let entries = request["Entries"].as_array().map_or(&[][..], Vec::as_slice);
        let deleted: Vec<Value> = entries
            .iter()
            .filter(|entry| self.hidden.remove(entry["ReceiptHandle"].as_str().unwrap_or_default()).is_some())
            .map(|entry| json!({"Id": entry["Id"]}))
            .collect();
        json!({"Successful": deleted, "Failed": []})
    }

    fn change_visibility(&mut self, request: &Value) -> Value {
        let hidden_for = Duration::from_secs(request["VisibilityTimeout"].as_u64().unwrap_or(0));
        if let Some((until, _)) = self.hidden.get_mut(request["ReceiptHandle"].as_str().unwrap_or_default()) {
            *until = Instant::now() + hidden_for;
        }
        json!({})
    }
}
