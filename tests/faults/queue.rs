//! The queue's state: messages with their visibility, receipts and dead letters.

use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

pub struct Queue {
    pub messages: Vec<Message>,
    pub visibility_timeout: Duration,
    pub max_receive_count: u32,
}

pub struct Message {
    pub body: String,
    pub objects: Vec<usize>,
    pub visible_at: Instant,
    pub receives: u32,
    pub state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Queued,
    /// In the dead-letter queue.
    Dead,
    Deleted,
}

impl Queue {
    /// Takes up to so many visible messages, in no order, and redrives those that came too often.
    pub fn receive(&mut self, most: usize, random: &mut Rng) -> Vec<usize> {
        let now = Instant::now();
        let mut visible: Vec<usize> =
            (0..self.messages.len()).filter(|&number| self.is_visible(number, now)).collect();
        random.shuffle(&mut visible);
        let mut taken = Vec::new();
        for number in visible {
            let message = &mut self.messages[number];
            if message.receives >= self.max_receive_count {
                message.state = State::Dead;
            } else if taken.len() < most {
                message.receives += 1;
                message.visible_at = now + self.visibility_timeout;
                taken.push(number);
            }
        }
        taken
    }

    fn is_visible(&self, number: usize, now: Instant) -> bool {
        let message = &self.messages[number];
        message.state == State::Queued && message.visible_at <= now
    }

    /// When the next message becomes visible, if nobody changes anything.
    pub fn next_visible(&self) -> Option<Instant> {
        let queued = self.messages.iter().filter(|message| message.state == State::Queued);
        queued.map(|message| message.visible_at).min()
    }

    /// Messages that are still somewhere, the dead-letter queue included.
    pub fn undeleted(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(|message| message.state != State::Deleted)
    }

    /// A receipt names its message and the delivery.
    pub fn receipt(&self, number: usize) -> String {
        format!("{number}/{}", self.messages[number].receives)
    }

    pub fn of_receipt(&self, receipt: &str) -> Option<usize> {
        let number = receipt.split('/').next()?.parse().ok()?;
        (number < self.messages.len()).then_some(number)
    }
}
