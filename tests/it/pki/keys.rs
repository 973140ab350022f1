//! Keys that cannot serve: encrypted ones and DER. Nothing ever asks for a passphrase, not even on a
//! terminal.

use std::{fs, io::Read};

use diyadm::pki::{KeyFault, private_key};
use openssl::{pkey::PKey, symm::Cipher};

use crate::rig::{diyadm, on_terminal, program};

#[test]
fn encrypted_key_is_refused_without_a_prompt() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    diyadm(path, &["init", "--out", "."]).code(0);
    let plain = fs::read(path.join("server.key")).unwrap();
    let key = PKey::private_key_from_pem(&plain).unwrap();
    let cipher = Cipher::aes_256_cbc();
    let rsa = key.rsa().unwrap();
    assert!(private_key(&rsa.private_key_to_pem().unwrap()).is_ok(), "the older form of PEM");
    let legacy = rsa.private_key_to_pem_passphrase(cipher, b"secret").unwrap();
    assert!(String::from_utf8_lossy(&legacy).contains("Proc-Type: 4,ENCRYPTED"));
    // An empty passphrase is one too.
    for (what, bytes, fault) in [
        (
            "PKCS#8",
            key.private_key_to_pem_pkcs8_passphrase(cipher, b"secret").unwrap(),
            KeyFault::Encrypted,
        ),
        (
            "without a passphrase",
            key.private_key_to_pem_pkcs8_passphrase(cipher, b"").unwrap(),
            KeyFault::Encrypted,
        ),
        ("legacy PEM", legacy, KeyFault::Encrypted),
        (
            "DER",
            key.private_key_to_pkcs8_passphrase(cipher, b"secret").unwrap(),
            KeyFault::Encrypted,
        ),
        ("DER in the clear", key.private_key_to_der().unwrap(), KeyFault::Der),
        ("PKCS#8 DER in the clear", key.private_key_to_pkcs8().unwrap(), KeyFault::Der),
        ("no key", b"junk".to_vec(), KeyFault::NoKey),
    ] {
        assert_eq!(private_key(&bytes).err(), Some(fault), "{what}");
        fs::write(path.join("server.key"), bytes).unwrap();
        let listen = ["--listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0"];
        let serve =
            [&["serve", "--cert", "server.crt", "--key", "server.key"][..], &listen].concat();
        for args in [&serve[..], &["init", "--inspect", "."], &["init", "--out", "."]] {
            let mut command = program(path);
            let (mut child, mut terminal) = on_terminal(command.args(args));
            let mut shown = Vec::new();
            // Ends with the program, at the latest with an error of the terminal.
            let _ = terminal.read_to_end(&mut shown);
            let shown = String::from_utf8_lossy(&shown).into_owned();
            assert_ne!(child.wait().unwrap().code(), Some(0), "{what}: {shown}");
            assert!(!shown.contains("pass phrase"), "{what}, {args:?}: {shown}");
            let wanted = match fault {
                KeyFault::Encrypted => "is encrypted",
                KeyFault::Der => "is DER, not PEM",
                KeyFault::NoKey => "is not a PEM key",
            };
            assert!(shown.contains(wanted), "{what}, {args:?}: {shown}");
            if fault == KeyFault::Encrypted {
                assert!(shown.contains("openssl pkey -in "), "{what}, {args:?}: {shown}");
            }
        }
    }
    let hint = KeyFault::Encrypted.hint("server.key").unwrap();
    assert!(hint.contains("openssl pkey -in server.key -out plain.key"), "{hint}");
}
