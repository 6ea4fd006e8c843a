# shellcheck shell=bash
# One certification authority for all servers of the testbed, and the certificates that it gave out, in $run/pki.

# Makes the authority once.
make_authority() {
    local pki=$run/pki
    [ ! -f "$pki/ca.crt" ] || return 0
    # Clients that run as another user read the authority's certificate; the keys in here have modes of their own.
    mkdir -p "$pki"
    chmod 711 "$pki"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 3650 -subj "/CN=Maestro testbed" \
        -keyout "$pki/ca.key" -out "$pki/ca.crt.new" \
        -addext basicConstraints=critical,CA:true -addext keyUsage=critical,keyCertSign,digitalSignature 2>/dev/null
    chmod 644 "$pki/ca.crt.new"
    mv "$pki/ca.crt.new" "$pki/ca.crt"
}

# make_certificate NAME SUBJECT USAGES [ALTERNATIVE NAMES]: NAME.crt and NAME.key, made anew when what is asked changes
make_certificate() {
    local name=$1 pki=$run/pki asked="$*"
    [ "$(cat "$pki/$name.asked" 2>/dev/null)" != "$asked" ] || return 0
    {
        echo "basicConstraints = CA:false"
        echo "keyUsage = digitalSignature"
        echo "extendedKeyUsage = $3"
        [ -z "${4:-}" ] || echo "subjectAltName = $4"
    } >"$pki/$name.extensions"
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj "$2" \
        -keyout "$pki/$name.key" -out "$pki/$name.request" 2>/dev/null
    # The serial number is random: several may be made at once.
    openssl x509 -req -in "$pki/$name.request" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -days 3650 \
        -set_serial "0x$(openssl rand -hex 16)" -extfile "$pki/$name.extensions" -out "$pki/$name.crt" 2>/dev/null
    chmod 644 "$pki/$name.crt"
    rm -f "$pki/$name.request" "$pki/$name.extensions"
    echo "$asked" >"$pki/$name.asked"
}

# What every server on loopback shows.
make_loopback_certificate() {
    make_authority
    make_certificate loopback "/CN=localhost" serverAuth "DNS:localhost,IP:127.0.0.1"
}
