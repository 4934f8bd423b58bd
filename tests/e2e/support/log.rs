//! What the code under test logs.

use std::cell::RefCell;
use std::io::Write;
use std::sync::{Arc, Mutex, Once};

/// What is logged on this thread from now on; a test and what it spawns share one thread.
pub struct Log {
    sheet: Sheet,
}

#[derive(Clone, Default)]
struct Sheet(Arc<Mutex<Vec<u8>>>);

thread_local! {
    static PRESENT: RefCell<Sheet> = RefCell::default();
}

static ALL: Mutex<Vec<u8>> = Mutex::new(Vec::new());

impl Log {
    pub fn start() -> Self {
        // One subscriber for all: those that come and go beside each other can miss lines.
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            let present = || PRESENT.with_borrow(Sheet::clone);
            let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(present).finish();
            tracing::subscriber::set_global_default(subscriber).unwrap();
        });
        let sheet = Sheet::default();
        PRESENT.set(sheet.clone());
        Self { sheet }
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.sheet.0.lock().unwrap().clone()).unwrap()
    }

    pub fn lines(&self, with: &str) -> Vec<String> {
        self.text().lines().filter(|line| line.contains(with)).map(str::to_owned).collect()
    }

    /// What every thread of this process has logged since the first test asked for a log, other tests' too.
    pub fn of_all_threads() -> String {
        String::from_utf8(ALL.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Sheet {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        ALL.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
