// Judges certificates as an API server does when it calls a webhook: with Go's TLS client, the CAs
// of a caBundle, and the name of a Service. Reads cases as JSON, writes one error for each.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"time"
)

type chain struct {
	CA, Crt, Key, Host string
	Now                int64
}

type input struct {
	Chains []chain
	// DER, in base64.
	Certificates [][]byte
}

type output struct {
	// Empty where the connection came about.
	Chains []string
	// Empty where the certificate was parsed.
	Certificates []string
}

func main() {
	var in input
	var out output
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		panic(err)
	}
	for _, c := range in.Chains {
		out.Chains = append(out.Chains, text(c.connect()))
	}
	for _, der := range in.Certificates {
		_, err := x509.ParseCertificate(der)
		out.Certificates = append(out.Certificates, text(err))
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		panic(err)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (c chain) connect() error {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(c.CA)) {
		return errors.New("no CA")
	}
	var served tls.Certificate
	for rest := []byte(c.Crt); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		served.Certificate = append(served.Certificate, block.Bytes)
	}
	block, _ := pem.Decode([]byte(c.Key))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return err
	}
	served.PrivateKey = key
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer listener.Close()
	go func() {
		there, err := listener.Accept()
		if err != nil {
			return
		}
		_ = tls.Server(there, &tls.Config{Certificates: []tls.Certificate{served}}).Handshake()
		_ = there.Close()
	}()
	here, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		panic(err)
	}
	client := tls.Client(here, &tls.Config{
		RootCAs:    roots,
		ServerName: c.Host,
		Time:       func() time.Time { return time.Unix(c.Now, 0) },
		MinVersion: tls.VersionTLS12,
	})
	err = client.Handshake()
	_ = here.Close()
	return err
}
