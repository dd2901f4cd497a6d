//! Streams that keep the store they read from.

use std::future::ready;
use std::sync::Arc;

use cidbucket_blockstore::{Blockstore, BoxStream};
use futures::channel::mpsc;
use futures::sink::SinkExt;
use futures::stream::{self, StreamExt};

/// The stream that `make` makes of the store, together with the store. One item is read ahead.
pub(crate) fn owned<T, F>(store: Arc<dyn Blockstore>, make: F) -> BoxStream<'static, T>
where
    T: Send + 'static,
    F: for<'a> FnOnce(&'a dyn Blockstore) -> BoxStream<'a, T> + Send + 'static,
{
    // A stream that borrows can live in a future that owns, and hand its items out of it.
    let (mut sender, receiver) = mpsc::channel(0);
    let reading = async move {
        let mut items = make(&*store);
        while let Some(item) = items.next().await {
            if sender.send(item).await.is_err() {
                break;
            }
        }
    };
    let reading = stream::once(reading).map(|()| None);
    stream::select(receiver.map(Some), reading)
        .filter_map(ready)
        .boxed()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use cidbucket_blockstore::{Block, MemoryBlockstore};
    use futures::executor::block_on;

    use super::*;

    #[test]
    fn all_items_in_order_and_no_sooner_than_wanted() {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let block = Block::raw("x");
        let store = Arc::new(MemoryBlockstore::new());
        block_on(store.put(&block)).unwrap();
        let cid = *block.cid();
        let mut items = owned(store, move |store| {
            stream::iter(0..100)
                .then(move |n| async move {
                    MADE.fetch_add(1, Ordering::Relaxed);
                    (n, store.has(&cid).await.unwrap())
                })
                .boxed()
        });
        block_on(async {
            for n in 0..10 {
                assert_eq!(items.next().await, Some((n, true)));
            }
            assert!(MADE.load(Ordering::Relaxed) <= 13);
            assert_eq!(items.count().await, 90);
        });
    }
}
