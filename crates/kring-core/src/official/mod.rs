//! Others' test vectors through Kring's own primitives: the very code that calls run, not the crates behind it.
//!
//! Where the vectors come from is written in README.md beside this file.

use crate::crypto::aws_lc::{self, AwsLc};
use crate::crypto::noise::{self, X25519};
use crate::crypto::{AeadKey, KEM_CIPHERTEXT_LEN, KemKey, Provider, generic_opener, read_header, sealer_at};
use crate::handshake::classical;
use crate::identity::PublicIdentity;
use data_encoding::HEXLOWER;
use serde_json::Value;
use snow::types::Dh;
use std::sync::Arc;

fn file(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn wycheproof(what: &str) -> Vec<Value> {
    let mut all = file(include_str!("wycheproof.json"));
    let Value::Array(tests) = all[what].take() else { panic!("no vectors for {what}") };
    assert!(tests.len() >= 3, "{what}: {}", tests.len());
    tests
}

fn bytes(of: &Value) -> Vec<u8> {
    HEXLOWER.decode(of.as_str().expect("hex").as_bytes()).expect("hex")
}

fn array<const N: usize>(of: &Value) -> [u8; N] {
    bytes(of).try_into().expect("the right length")
}

fn is_valid(test: &Value) -> bool {
    test["result"] == "valid"
}

fn aes_256_gcm<A: AeadKey>() {
    for test in wycheproof("aes-256-gcm") {
        let (key, nonce, aad) = (A::new(&array(&test["key"])), array(&test["iv"]), bytes(&test["aad"]));
        let (mut data, mut tag) = (bytes(&test["msg"]), [0; 16]);
        key.seal(nonce, &aad, &mut data, &mut tag).unwrap();
        let sealed = [bytes(&test["ct"]), bytes(&test["tag"])].concat();
        assert_eq!([&data[..], &tag].concat() == sealed, is_valid(&test), "{}", test["id"]);
        let mut opened = sealed.clone();
        assert_eq!(key.open(nonce, &aad, &mut opened).is_ok(), is_valid(&test), "{}", test["id"]);
        if is_valid(&test) {
            assert_eq!(opened[..data.len()], bytes(&test["msg"]), "{}", test["id"]);
        }
    }
}

#[test]
fn wycheproof_aes_256_gcm() {
    aes_256_gcm::<aws_lc::Gcm>();
    #[cfg(feature = "pure-rust")]
    aes_256_gcm::<crate::crypto::pure::Gcm>();
}

#[test]
fn wycheproof_chacha20_poly1305() {
    for test in wycheproof("chacha20-poly1305") {
        let (key, nonce, aad, plain) =
            (array(&test["key"]), array(&test["iv"]), bytes(&test["aad"]), bytes(&test["msg"]));
        let sealed = [bytes(&test["ct"]), bytes(&test["tag"])].concat();
        let mut out = vec![0; sealed.len()];
        noise::seal(&key, nonce, &aad, &plain, &mut out);
        assert_eq!(out == sealed, is_valid(&test), "{}", test["id"]);
        let opened = noise::open(&key, nonce, &aad, &sealed, &mut out);
        assert_eq!(opened.is_ok(), is_valid(&test), "{}", test["id"]);
        if is_valid(&test) {
            assert_eq!(out[..plain.len()], plain, "{}", test["id"]);
        }
    }
}

#[test]
fn wycheproof_x25519() {
    let mut zero = 0;
    for test in wycheproof("x25519") {
        let mut key = X25519::default();
        key.set(&bytes(&test["private"]));
        let mut shared = [0; 32];
        let result = key.dh(&bytes(&test["public"]), &mut shared);
        if test["flags"].as_array().unwrap().contains(&"ZeroSharedSecret".into()) {
            // RFC 7748, section 6.1: whoever sends such a key wants a secret that everyone knows.
            assert!(result.is_err() && shared == [0; 32], "{}", test["id"]);
            zero += 1;
        } else {
            result.unwrap();
            assert_eq!(shared[..], bytes(&test["shared"]), "{}", test["id"]);
        }
    }
    assert!(zero > 20, "{zero}");
}

#[test]
fn wycheproof_ed25519() {
    for test in wycheproof("ed25519") {
        let identity = PublicIdentity::from(array::<32>(&test["public"]));
        let signature: Result<[u8; 64], _> = bytes(&test["sig"]).try_into();
        let holds = signature.is_ok_and(|signature| identity.verify(&bytes(&test["msg"]), &signature));
        assert_eq!(holds, is_valid(&test), "{}", test["id"]);
    }
}

fn ml_kem_768(key_of: impl Fn(&[u8], &[u8]) -> Box<dyn KemKey>, provider: &dyn Provider) {
    for test in wycheproof("ml-kem-768-expanded") {
        let key = key_of(&bytes(&test["dk"]), &bytes(&test["ek"]));
        let shared = key.decapsulate(&bytes(&test["c"]));
        assert_eq!(shared.is_ok(), is_valid(&test), "{}", test["id"]);
        if let Ok(shared) = shared {
            assert_eq!(shared[..], bytes(&test["K"]), "{}", test["id"]);
        }
    }
    for test in wycheproof("ml-kem-768-encapsulation") {
        let made = provider.kem_encapsulate(&bytes(&test["ek"]), &mut [0; KEM_CIPHERTEXT_LEN]);
        assert_eq!(made.is_ok(), is_valid(&test), "{}", test["id"]);
    }
}

#[test]
fn wycheproof_ml_kem_768() {
    ml_kem_768(aws_lc::kem_key, &AwsLc);
    #[cfg(feature = "pure-rust")]
    ml_kem_768(crate::crypto::pure::kem_key, &crate::crypto::pure::Pure::system());
}

/// With randomness from the vectors.
#[cfg(feature = "pure-rust")]
#[test]
fn wycheproof_ml_kem_768_from_seeds() {
    use crate::crypto::pure::Pure;
    let fixed = |random: Vec<u8>| {
        Pure::with_random(Box::new(move |out| {
            out.copy_from_slice(&random);
            Ok(())
        }))
    };
    for test in wycheproof("ml-kem-768-decapsulation") {
        let key = fixed(bytes(&test["seed"])).kem_generate().unwrap();
        assert_eq!(key.public(), bytes(&test["ek"]), "{}", test["id"]);
        assert_eq!(key.decapsulate(&bytes(&test["c"])).unwrap()[..], bytes(&test["K"]), "{}", test["id"]);
    }
    for test in wycheproof("ml-kem-768-encapsulation").into_iter().filter(is_valid) {
        let mut ciphertext = [0; KEM_CIPHERTEXT_LEN];
        let shared = fixed(bytes(&test["m"])).kem_encapsulate(&bytes(&test["ek"]), &mut ciphertext).unwrap();
        assert_eq!(ciphertext[..], bytes(&test["c"]), "{}", test["id"]);
        assert_eq!(shared[..], bytes(&test["K"]), "{}", test["id"]);
    }
}

#[test]
fn noise_of_the_classical_pattern() {
    let provider: Arc<dyn Provider> = Arc::new(AwsLc);
    let Value::Array(vectors) = file(include_str!("noise.json"))["vectors"].take() else {
        panic!("no vectors")
    };
    assert_eq!(vectors.len(), 3);
    for v in vectors {
        let name = v["protocol_name"].as_str().unwrap();
        let psks = |of: &Value| of.as_array().map_or_else(Vec::new, |p| p.iter().map(array::<32>).collect());
        let places: Vec<u8> = name.split("psk").skip(1).map(|rest| rest.as_bytes()[0] - b'0').collect();
        let keys = ["static", "ephemeral", "prologue"]
            .map(|k| [bytes(&v[&format!("init_{k}")]), bytes(&v[&format!("resp_{k}")])]);
        let [statics, ephemerals, prologues] = &keys;
        let remote = bytes(&v["init_remote_static"]);
        let psks = [psks(&v["init_psks"]), psks(&v["resp_psks"])];
        let [mut caller, mut callee] = [0, 1].map(|side| {
            let mut builder = classical(name, &provider)
                .local_private_key(&statics[side])
                .and_then(|b| b.prologue(&prologues[side]))
                .unwrap()
                .fixed_ephemeral_key_for_testing_only(&ephemerals[side]);
            for (place, psk) in places.iter().zip(&psks[side]) {
                builder = builder.psk(*place, psk).unwrap();
            }
            if side == 0 {
                builder.remote_public_key(&remote).unwrap().build_initiator().unwrap()
            } else {
                builder.build_responder().unwrap()
            }
        });
        let messages = v["messages"].as_array().unwrap();
        let (mut out, mut opened) = ([0; 1024], [0; 1024]);
        for (at, message) in messages[..2].iter().enumerate() {
            let (from, to) = if at == 0 { (&mut caller, &mut callee) } else { (&mut callee, &mut caller) };
            let len = from.write_message(&bytes(&message["payload"]), &mut out).unwrap();
            assert_eq!(out[..len], bytes(&message["ciphertext"]), "{name}: message {at}");
            let len = to.read_message(&out[..len], &mut opened).unwrap();
            assert_eq!(opened[..len], bytes(&message["payload"]));
        }
        if v["handshake_hash"].is_string() {
            assert_eq!(caller.get_handshake_hash(), bytes(&v["handshake_hash"]));
        }
        let mut two = [caller, callee].map(|state| state.into_transport_mode().unwrap());
        for (at, message) in messages.iter().enumerate().skip(2) {
            let len = two[at % 2].write_message(&bytes(&message["payload"]), &mut out).unwrap();
            assert_eq!(out[..len], bytes(&message["ciphertext"]), "{name}: message {at}");
        }
    }
}

fn sframe<A: AeadKey>() {
    let all = file(include_str!("sframe.json"));
    for v in all["sframe"].as_array().unwrap() {
        let (kid, counter) = (v["kid"].as_u64().unwrap(), v["ctr"].as_u64().unwrap());
        let (key, metadata) = (bytes(&v["base_key"]), bytes(&v["metadata"]));
        let mut sealed = Vec::new();
        sealer_at::<A>(kid, &key, counter).seal(&metadata, &bytes(&v["pt"]), &mut sealed).unwrap();
        assert_eq!(sealed, [metadata.clone(), bytes(&v["ct"])].concat());
        let mut opened = Vec::new();
        let came = generic_opener::<A>(kid, &key).open(&metadata, &bytes(&v["ct"]), &mut opened);
        assert_eq!((came, opened), (Ok(counter), bytes(&v["pt"])));
    }
    for v in all["header"].as_array().unwrap() {
        let encoded = bytes(&v["encoded"]);
        let (kid, counter, len) = read_header(&encoded).unwrap();
        assert_eq!((Some(kid), Some(counter)), (v["kid"].as_u64(), v["ctr"].as_u64()));
        assert_eq!(len, encoded.len());
    }
}

#[test]
fn sframe_rfc_9605_appendix_c() {
    sframe::<aws_lc::Gcm>();
    #[cfg(feature = "pure-rust")]
    sframe::<crate::crypto::pure::Gcm>();
}
