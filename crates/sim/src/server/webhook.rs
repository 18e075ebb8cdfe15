//! Calls webhooks on loopback: validations and notifications. A webhook elsewhere is not called.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Uri;
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::shared::Shared;
use crate::webhooks::{WebhookAnswer, WebhookCall};

/// How often the service looks for content that became available, to notify webhooks.
const TICK: Duration = Duration::from_millis(500);

/// A webhook must answer within this time, as clients report of the real service.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Sends notifications for as long as the server lives.
pub(super) async fn notify(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(TICK).await;
        shared.microsoft().advance(shared.now_ms());
        loop {
            let due = shared.microsoft().poll_notification();
            let Some((ticket, call)) = due else {
                break;
            };
            let answer = post(&call).await;
            shared.microsoft().notified(shared.now_ms(), ticket, answer);
        }
    }
}

/// Performs a call.
pub(super) async fn post(call: &WebhookCall) -> WebhookAnswer {
    match tokio::time::timeout(ANSWER_MAX, try_post(call)).await {
        Ok(Ok(status)) => WebhookAnswer::Status(status),
        Ok(Err(_)) | Err(_) => WebhookAnswer::Nothing,
    }
}

async fn try_post(call: &WebhookCall) -> io::Result<u16> {
    let uri: Uri = call.address.parse().map_err(io::Error::other)?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if !loopback {
        return Err(io::Error::other("only webhooks on loopback are called"));
    }
    let https = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
    let stream = TcpStream::connect((host, port)).await?;
    if !https {
        return exchange(stream, &uri, call).await;
    }
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let stream = connector()?.connect(name, stream).await?;
    exchange(stream, &uri, call).await
}

async fn exchange<S>(stream: S, uri: &Uri, call: &WebhookCall) -> io::Result<u16>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let mut request = hyper::Request::post(path).header("Host", host);
    for (name, value) in &call.headers {
        request = request.header(*name, value);
    }
    let body = Full::new(Bytes::from(call.body.clone()));
    let request = request.body(body).map_err(io::Error::other)?;
    let answer = sender.send_request(request).await;
    connection.abort();
    Ok(answer.map_err(io::Error::other)?.status().as_u16())
}

/// A connector that takes any certificate: the webhook is on loopback and under test.
fn connector() -> io::Result<TlsConnector> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(AnyCertificate(Arc::clone(&provider)));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
