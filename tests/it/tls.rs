//! TLS at the gate and towards the management server: versions, names, reload, HTTP/2.

use crate::served::{
    MODERN, MODERN_ONE, OLD, Recorder, Served, Speaks, answer_all, certificate, configured, shake,
    tls_lines,
};
use crate::stage::{Stage, pairs, until};
use http::Request;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::{self, NamedGroup};

const QUERY: &str = "command=listZones&response=json";

/// A gate with these certificates, in front of a recorder.
pub fn over_tls(name: &str, stems: &[(&str, &[&str])], recorder: &Recorder) -> Served {
    let listed: Vec<&str> = stems.iter().map(|stem| stem.0).collect();
    let upstream = format!("url = \"{}\"", recorder.url());
    let folder = configured(name, &tls_lines(&listed), &upstream);
    for (stem, names) in stems {
        certificate(&folder, stem, names, 2200);
    }
    Served::over(&folder, &[])
}

/// One HTTP/1.1 exchange over a stream that then stays open.
async fn ask(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), query: &str) -> String {
    let request = format!("GET /client/api?{query} HTTP/1.1\r\nHost: cloud.example\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(b"{}") {
        let length = stream.read_buf(&mut heard).await.unwrap();
        assert!(length > 0, "closed: {}", String::from_utf8_lossy(&heard));
    }
    String::from_utf8(heard).unwrap()
}

/// One HTTP/2 exchange on a connection of its own: status and body.
pub async fn ask_two(
    client: &mut h2::client::SendRequest<bytes::Bytes>,
    request: Request<()>,
) -> Result<(u16, Vec<u8>), h2::Error> {
    let (answer, _) = client.clone().ready().await?.send_request(request, true)?;
    let answer = answer.await?;
    let status = answer.status().as_u16();
    let mut body = answer.into_body();
    let mut read = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        let _ = body.flow_control().release_capacity(data.len());
        read.extend_from_slice(&data);
    }
    Ok((status, read))
}

pub async fn two(address: &str, trusted: &Path) -> h2::client::SendRequest<bytes::Bytes> {
    let stream = shake(address, trusted, &MODERN).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(async move {
        let _ = connection.await;
    });
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_are_spoken_and_the_key_exchange_is_hybrid() {
    let recorder = Recorder::start();
    let gate = over_tls("tls-versions", &[("cloud", &["cloud.example"])], &recorder);
    let address = gate.tls.clone().unwrap();
    let trusted = gate.folder.join("cloud.crt");
    let mut old = shake(&address, &trusted, &OLD).await.unwrap();
    let version = old.get_ref().1.protocol_version();
    assert_eq!(version, Some(rustls::ProtocolVersion::TLSv1_2));
    assert!(ask(&mut old, QUERY).await.starts_with("HTTP/1.1 200"));
    let mut modern = shake(&address, &trusted, &MODERN_ONE).await.unwrap();
    let session = modern.get_ref().1;
    assert_eq!(
        session.protocol_version(),
        Some(rustls::ProtocolVersion::TLSv1_3)
    );
    let group = session.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
    let heard = ask(&mut modern, QUERY).await;
    assert!(heard.starts_with("HTTP/1.1 200"), "{heard}");
    assert_eq!(recorder.seen().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn http_two_carries_the_same_call_as_http_one() {
    let recorder = Recorder::start();
    let gate = over_tls("tls-two", &[("cloud", &["cloud.example"])], &recorder);
    let mut client = two(gate.tls.as_ref().unwrap(), &gate.folder.join("cloud.crt")).await;
    let request = |method: &str, target: &str| {
        Request::builder()
            .method(method)
            .uri(format!("https://cloud.example{target}"))
    };
    let get = |target: &str| request("GET", target).body(()).unwrap();
    let plain = gate.call(QUERY).unwrap();
    let target = format!("/client/api?{QUERY}");
    let (status, body) = ask_two(&mut client, get(&target)).await.unwrap();
    assert_eq!((status, body), (plain.status, plain.body.into_bytes()));
    let seen = recorder.seen();
    assert_eq!(seen[0], seen[1], "CloudStack sees a difference");

    let table = [
        (get("/client/%61pi?command=listZones"), 400),
        (get("/elsewhere"), 404),
        (request("HEAD", &target).body(()).unwrap(), 405),
        (
            request("GET", &target)
                .header("host", "other")
                .body(())
                .unwrap(),
            400,
        ),
        (get("/client/api?command=createNothingKnown"), 432),
    ];
    for (request, expected) in table {
        let shown = format!("{request:?}");
        let (status, _) = ask_two(&mut client, request).await.unwrap();
        assert_eq!(status, expected, "{shown}");
    }
    let long = format!("/client/api?{QUERY}&bytes=300000");
    let (status, body) = ask_two(&mut client, get(&long)).await.unwrap();
    assert_eq!((status, body.len()), (200, 300_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_over_http_2_is_held_for_and_runs() {
    let mut stage = Stage::start("tls-deploy", &[]);
    stage.kill_gate();
    let text = std::fs::read_to_string(stage.folder.join("faregate.toml")).unwrap();
    let listen = format!("{}\n[upstream]", tls_lines(&["cloud"]));
    std::fs::write(
        stage.folder.join("faregate.toml"),
        text.replace("[upstream]", &listen),
    )
    .unwrap();
    certificate(&stage.folder, "cloud", &["cloud.example"], 2200);
    let mut gate = Served::over(&stage.folder, &[]);
    gate.removes = false;
    let mut client = two(gate.tls.as_ref().unwrap(), &stage.folder.join("cloud.crt")).await;
    let caller = stage.customer(0);
    let vm = stage.small_vm(0);
    let deploy = caller.signed("json", "deployVirtualMachine", &pairs(&vm));
    let uri = format!("https://cloud.example/client/api?{deploy}");
    let ask = || Request::get(&uri).body(()).unwrap();
    for expected in [200, 200, 535] {
        let (status, body) = ask_two(&mut client, ask()).await.unwrap();
        assert_eq!(status, expected, "{}", String::from_utf8_lossy(&body));
    }
    until("two run", || stage.machines("Running").len() == 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_go_by_name_and_are_read_again_without_dropping_a_call() {
    let recorder = Recorder::start();
    let stems: [(&str, &[&str]); 2] = [
        ("first", &["cloud.example"]),
        ("second", &["*.second.example"]),
    ];
    let gate = over_tls("tls-names", &stems, &recorder);
    let address = gate.tls.clone().unwrap();
    let first = gate.folder.join("first.crt");
    let second = Speaks {
        name: "api.second.example",
        ..OLD
    };
    let mut kept = shake(&address, &first, &OLD).await.unwrap();
    shake(&address, &gate.folder.join("second.crt"), &second)
        .await
        .unwrap();
    assert!(shake(&address, &first, &second).await.is_err());

    // A file that cannot be used: the old one stays, and the node says so.
    let key = std::fs::read(gate.folder.join("first.key")).unwrap();
    let chain = std::fs::read(&first).unwrap();
    std::fs::write(gate.folder.join("first.key"), &key[..key.len() / 2]).unwrap();
    gate.signal("-HUP");
    until("it is refused", || {
        gate.figure("faregate_certificates_refused") == 1
    });
    assert!(
        gate.log
            .lock()
            .unwrap()
            .contains("first.key holds no private key")
    );
    shake(&address, &first, &OLD).await.unwrap();

    // A new one, while a call is under way on an open connection.
    std::fs::write(gate.folder.join("old.crt"), chain).unwrap();
    let slow = format!("{QUERY}&sleep=1500");
    let (heard, ()) = tokio::join!(ask(&mut kept, &slow), async {
        certificate(&gate.folder, "first", &["cloud.example"], 2100);
        gate.signal("-HUP");
        tokio::task::block_in_place(|| {
            until("it is used", || {
                gate.figure("faregate_certificates_refused") == 0
            });
        });
    });
    assert!(heard.starts_with("HTTP/1.1 200"), "{heard}");
    shake(&address, &first, &OLD).await.unwrap();
    assert!(
        shake(&address, &gate.folder.join("old.crt"), &OLD)
            .await
            .is_err()
    );
    let days = gate.figure("faregate_certificate_days_left");
    assert!((20_000..30_000).contains(&days), "{days}");
    assert!(ask(&mut kept, QUERY).await.starts_with("HTTP/1.1 200"));
}

#[test]
fn a_start_with_a_certificate_that_cannot_be_used_says_why() {
    let upstream = "url = \"http://127.0.0.1:9/client/api\"";
    let folder = configured("tls-expired", &tls_lines(&["cloud"]), upstream);
    certificate(&folder, "cloud", &["cloud.example"], 2021);
    let ended = crate::served::command(&folder, &[]).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(said.contains("cloud.crt expired"), "{said}");
    let _ = std::fs::remove_dir_all(&folder);
}

/// A management server that speaks TLS for this name, with the certificate in the folder.
fn server(folder: &Path, names: &[&str]) -> (String, Arc<Mutex<Vec<String>>>) {
    use rustls::pki_types::pem::PemObject;
    certificate(folder, "server", names, 2200);
    let chain = rustls::pki_types::CertificateDer::from_pem_file(folder.join("server.crt"));
    let key = rustls::pki_types::PrivateKeyDer::from_pem_file(folder.join("server.key"));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain.unwrap()], key.unwrap())
        .unwrap();
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = heads.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (config, kept) = (config.clone(), kept.clone());
            std::thread::spawn(move || {
                let session = rustls::ServerConnection::new(config).unwrap();
                answer_all(rustls::StreamOwned::new(session, stream), &kept);
            });
        }
    });
    (format!("localhost:{port}"), heads)
}

#[test]
fn cloudstack_is_spoken_to_over_tls_by_the_pinned_authority_alone() {
    let folder = configured(
        "tls-upstream",
        "",
        "url = \"http://127.0.0.1:9/client/api\"",
    );
    let (address, heads) = server(&folder, &["localhost"]);
    let (stranger, unheard) = server(&folder.join("stranger"), &["localhost"]);
    let (misnamed, misheard) = server(&folder.join("misnamed"), &["elsewhere.example"]);
    let ask = |server: &str, ca_file: &str| {
        let upstream = format!("url = \"https://{server}/client/api\"\nca_file = \"{ca_file}\"");
        crate::served::configure(&folder, "", &upstream);
        let mut gate = Served::over(&folder, &[]);
        gate.removes = false;
        let heard = gate.call(QUERY).unwrap();
        heard.status
    };
    assert_eq!(ask(&address, "server.crt"), 200);
    assert_eq!(ask(&stranger, "server.crt"), 503);
    assert_eq!(ask(&misnamed, "misnamed/server.crt"), 503);
    assert!(
        heads
            .lock()
            .unwrap()
            .iter()
            .any(|head| head.contains("command=listzones"))
    );
    assert!(unheard.lock().unwrap().is_empty() && misheard.lock().unwrap().is_empty());
    let _ = std::fs::remove_dir_all(&folder);
}
