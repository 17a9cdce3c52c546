"""A Kafka broker as a company runs it: TLS of its own authority, client certificates, and SCRAM-SHA-512."""

from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from secrets import token_bytes

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.waiting import until

from common.paths import default_cache_dir
from common.settings.kafka import KafkaSettings
from deploy.embedded.broker import Broker, sign_in
from deploy.embedded.child import Child
from deploy.embedded.jars import JarCache, read_lock
from deploy.embedded.java import Java
from deploy.embedded.options import StackOptions
from deploy.embedded.ports import choose
from deploy.embedded.processes import RecordFile

PASSWORD = "the password of the company's cluster"
KEY_PASSWORD = "of the client's key"
_HEAP_MIB = 256


class Authority:
    """A certificate authority that signs for 127.0.0.1; all files are PEM, in one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "the company")])
        certificate = self._sign(self._name, self._key, authority=True)
        self.file = directory / "authority.pem"
        self.file.write_bytes(certificate)

    def issue(self, name: str, key_password: str | None = None) -> tuple[Path, Path]:
        """The files of a new certificate and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        certificate_file, key_file = self._directory / f"{name}.pem", self._directory / f"{name}.key"
        certificate_file.write_bytes(self._sign(subject, key, authority=False))
        encryption = (
            serialization.BestAvailableEncryption(key_password.encode())
            if key_password
            else serialization.NoEncryption()
        )
        key_file.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        )
        return certificate_file, key_file

    def _sign(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, authority: bool) -> bytes:
        now = datetime.now(UTC)
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(names, critical=False)
            .sign(self._key, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )


@contextmanager
def secured_broker(directory: Path) -> Iterator[KafkaSettings]:
    """A running broker; gives how to sign in there, with the password in a file."""
    authority = Authority(directory)
    certificate, key = authority.issue("broker")
    keystore = directory / "broker-keystore.pem"
    keystore.write_bytes(key.read_bytes() + certificate.read_bytes())
    jars = JarCache(default_cache_dir(), read_lock())
    jars.ensure()
    taken: set[int] = set()
    port, config = choose([], taken), directory / "kafka.properties"
    broker = Broker(Java(jars), directory / "kafka", config, port, choose([], taken), PASSWORD)
    broker.prepare("c" + urlsafe_b64encode(token_bytes(16)).decode()[1:22], lambda: False)
    tls = {
        "listener.security.protocol.map": "CONTROLLER:SASL_PLAINTEXT,CLIENTS:SASL_SSL",
        "listener.name.clients.ssl.client.auth": "required",
        "listener.name.clients.ssl.keystore.type": "PEM",
        "listener.name.clients.ssl.keystore.location": str(keystore),
        "listener.name.clients.ssl.truststore.type": "PEM",
        "listener.name.clients.ssl.truststore.location": str(authority.file),
    }
    config.write_text(config.read_text("utf-8") + "".join(f"{name}={value}\n" for name, value in tls.items()), "utf-8")
    spec = broker.spec(directory / "kafka.log", StackOptions(kafka_heap_mib=_HEAP_MIB, stop_timeout_s=30.0))
    child = Child(spec, RecordFile(directory / "processes.json"))
    child.start()
    try:
        until(lambda: broker.answers() or not child.running(), "the broker answers", within_s=60)
        assert child.running(), "\n".join(child.last_words(10))
        client_certificate, client_key = authority.issue("client", KEY_PASSWORD)
        password_file = directory / "password"
        password_file.write_text(PASSWORD + "\n", "utf-8")
        yield KafkaSettings.model_validate(
            sign_in(port, "")
            | {
                "security_protocol": "SASL_SSL",
                "sasl_password": None,
                "sasl_password_file": password_file,
                "ssl_ca_file": authority.file,
                "ssl_certificate_file": client_certificate,
                "ssl_key_file": client_key,
                "ssl_key_password": KEY_PASSWORD,
            }
        )
    finally:
        child.stop()
