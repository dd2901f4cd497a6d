//! Whole HTTP answers, status line and headers included, as a server on loopback gives them.
//!
//! The first byte chooses the operation, the rest is the answer.
#![no_main]

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use cidbucket_blockstore::{Block, Blockstore, BoxStream, Cursor};
use cidbucket_layout::{Keys, Layout, Prefix};
use cidbucket_presign::{Bucket, Style};
use cidbucket_s3::{CredentialsSource, GetObject, ListObjectsV2, S3Blockstore, S3Config};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::Runtime;

/// What the server answers to every request.
static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

static ADDRESS: LazyLock<String> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that has gone away is no fault of the server's.
            let _ = answer(stream);
        }
    });
    format!("http://{address}")
});

/// One for all inputs: a client reads the system's certificates, which takes its time.
static STORE: LazyLock<S3Blockstore> =
    LazyLock::new(|| S3Blockstore::new(config()).expect("a valid configuration"));

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
});

fuzz_target!(|input: &[u8]| {
    let Some((&operation, bytes)) = input.split_first() else {
        return;
    };
    *ANSWER.lock().unwrap() = bytes.to_vec();
    RUNTIME.block_on(ask(operation));
});

async fn ask(operation: u8) {
    let (client, store) = (STORE.client(), &*STORE);
    match operation % 7 {
        0 => {
            if let Ok(Some(got)) = client.get_object("key", &GetObject::whole(1000)).await {
                assert!(got.data.len() <= 1000);
                assert_eq!(got.size, got.data.len() as u64);
            }
        }
        1 => {
            if let Ok(Some(got)) = client.get_object("key", &GetObject::range(2..6)).await {
                assert_eq!(got.data.len() as u64, got.size.min(6) - 2);
            }
        }
        2 => {
            let _ = client.head_object("key").await;
        }
        3 => {
            let list = ListObjectsV2::with_prefix("prefix/");
            if let Ok(page) = client.list_objects_v2(&list).await {
                for object in page.objects {
                    assert!(object.key.starts_with("prefix/"));
                }
            }
        }
        4 => {
            let asked = ["a", "b"];
            if let Ok(answers) = client.delete_objects(&asked).await {
                assert_eq!(answers.len(), asked.len());
            }
        }
        5 => {
            let block = Block::raw(&b"0123456789"[..]);
            if let Ok(Some(got)) = store.get(block.cid()).await {
                assert_eq!(got, block);
            }
        }
        _ => {
            let mut listing = store.list(Cursor::start()).into_pages();
            // The same page for ever, if the server says so: that must be found out.
            for _ in 0..50 {
                match next(&mut listing).await {
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return,
                }
            }
            panic!("a listing that never ends");
        }
    }
}

/// The next page of a listing.
async fn next<T>(stream: &mut BoxStream<'_, T>) -> Option<T> {
    std::future::poll_fn(|context| stream.as_mut().poll_next(context)).await
}

fn config() -> S3Config {
    let bucket = Bucket::new(&ADDRESS, "bucket", "us-east-1", Style::Path).expect("a bucket");
    let keys = Keys::new(Prefix::new("prefix").expect("a prefix"), Layout::Kubo);
    let mut config = S3Config::new(bucket, keys);
    config.credentials = CredentialsSource::Anonymous;
    config.retry.max_attempts = 1;
    config.timeouts.first_byte = Duration::from_secs(2);
    config.timeouts.stall = Duration::from_secs(2);
    config
}

/// Reads the head of a request and gives the answer.
fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.set_nodelay(true)?;
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        request.extend_from_slice(&buffer[..read]);
    }
    let answer = ANSWER.lock().unwrap().clone();
    stream.write_all(&answer)
}
