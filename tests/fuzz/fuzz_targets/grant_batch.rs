//! Batches of grants in their JSON and DAG-CBOR forms.
#![no_main]

use cidbucket_presign::{Batch, Upload};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Ok(batch) = Batch::from_json(input) {
        check(&batch);
    }
    if let Ok(batch) = Batch::from_dag_cbor(input) {
        check(&batch);
    }
});

/// What was accepted is written and read back the same, and gives grants or errors.
fn check(batch: &Batch) {
    let json = batch.to_json();
    let cbor = batch.to_dag_cbor();
    let from_json = Batch::from_json(json.as_bytes()).expect("its own JSON");
    let from_cbor = Batch::from_dag_cbor(&cbor).expect("its own DAG-CBOR");
    assert_eq!(from_json.to_dag_cbor(), cbor);
    assert_eq!(from_cbor.to_json(), json);

    let cid = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
        .parse()
        .unwrap();
    for index in [0, 1, usize::MAX] {
        for grant in [
            batch.read(index, &cid),
            batch.write(index, &Upload::new(cid, 0)),
        ]
        .into_iter()
        .flatten()
        {
            assert!(grant.url.starts_with("http://") || grant.url.starts_with("https://"));
            assert!(
                grant.url.bytes().all(|b| b.is_ascii_graphic()),
                "{}",
                grant.url
            );
            for (name, value) in &grant.headers {
                assert!(!format!("{name}{value}").contains(['\r', '\n']));
            }
        }
    }
}
