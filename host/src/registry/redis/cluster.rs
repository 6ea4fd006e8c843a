//! Which node of a cluster has which slots, as the nodes tell. Called by [`super::route`].

use redis::{
    Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, ProtocolVersion, RedisError, RedisResult, Value,
};

use super::link::{Call, Failure, Link, Live};
use super::script::SLOTS;

/// Whether the server is a node of a cluster.
pub(super) async fn is_there(link: &Link, live: &Live) -> RedisResult<bool> {
    let hello = ask(link, live, &redis::cmd("HELLO")).await?;
    let is =
        |value: &Value, text: &str| matches!(value, Value::BulkString(bytes) if bytes == text.as_bytes());
    match hello {
        Value::Map(pairs) => Ok(pairs
            .iter()
            .any(|(key, value)| is(key, "mode") && is(value, "cluster"))),
        _ => Ok(false),
    }
}

/// The address of each slot's node; empty where there is none.
pub(super) async fn owners(link: &Link, live: &Live) -> RedisResult<Vec<String>> {
    let mut command = redis::cmd("CLUSTER");
    command.arg("SLOTS");
    let Value::Array(ranges) = ask(link, live, &command).await? else {
        return Err(malformed());
    };
    let mut owners = vec![String::new(); SLOTS];
    for range in ranges {
        let (first, last, address) = range_of(&range, link.client())?;
        for owner in owners.iter_mut().take(last + 1).skip(first) {
            owner.clone_from(&address);
        }
    }
    Ok(owners)
}

fn range_of(range: &Value, of: &Client) -> RedisResult<(usize, usize, String)> {
    let slot = |number: i64| usize::try_from(number).map_err(|_| malformed());
    let Value::Array(parts) = range else {
        return Err(malformed());
    };
    let [Value::Int(first), Value::Int(last), Value::Array(node), ..] = parts.as_slice() else {
        return Err(malformed());
    };
    let address = match node.as_slice() {
        [Value::BulkString(name), Value::Int(port), ..] if !name.is_empty() => {
            format!("{}:{port}", String::from_utf8_lossy(name))
        }
        // One that does not know its own address has that by which it was asked.
        [_, Value::Int(port), ..] => format!("{}:{port}", host(of)),
        _ => return Err(malformed()),
    };
    Ok((slot(*first)?, slot(*last)?, address))
}

/// Another node of the same cluster: user, password and TLS are the same.
pub(super) fn sibling(of: &Client, address: &str) -> RedisResult<Client> {
    let (name, port) = address.rsplit_once(':').ok_or_else(malformed)?;
    let port: u16 = port.parse().map_err(|_| malformed())?;
    let info = of.get_connection_info().clone();
    let addr = match info.addr() {
        ConnectionAddr::TcpTls {
            insecure, tls_params, ..
        } => ConnectionAddr::TcpTls {
            host: name.to_owned(),
            port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        _ => ConnectionAddr::Tcp(name.to_owned(), port),
    };
    Client::open(info.set_addr(addr))
}

/// The host that a client connects to.
pub(super) fn host(client: &Client) -> String {
    match client.get_connection_info().addr() {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.clone(),
        _ => String::new(),
    }
}

/// Speaks the newer protocol, in which messages come over the connection that everything else goes over.
pub(super) fn with_messages(info: ConnectionInfo) -> ConnectionInfo {
    let settings = info.redis_settings().clone();
    // What the client is called says nothing, and would be one more thing to allow.
    let settings = settings
        .set_protocol(ProtocolVersion::RESP3)
        .set_skip_set_lib_name();
    info.set_redis_settings(settings)
}

async fn ask(link: &Link, live: &Live, command: &Cmd) -> RedisResult<Value> {
    let answer = link.send(live, &Call::Plain(command)).await;
    answer.map_err(Failure::into_error)
}

fn malformed() -> RedisError {
    (
        ErrorKind::Parse,
        "a node told of the cluster in words that are not understood",
    )
        .into()
}
