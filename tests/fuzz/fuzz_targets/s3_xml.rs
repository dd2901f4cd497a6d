//! The XML that S3 answers with.
#![no_main]

use cidbucket_s3::xml;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let _ = xml::parse_error(body);
    let _ = xml::parse_delete_result(body);
    let _ = xml::parse_list(body);
    let _ = xml::parse_versions(body);
    let _ = xml::parse_cors(body);
    // What we write is XML whatever a key holds, and nothing of the key becomes an element.
    if let Ok(key) = str::from_utf8(body) {
        let request = xml::write_delete([key, "another"]);
        assert_eq!(request.matches("<Object>").count(), 2);
        assert_eq!(request.matches("</Key>").count(), 2);
    }
});
