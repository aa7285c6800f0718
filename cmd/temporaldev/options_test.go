package main

import (
	"bytes"
	"net"
	"strconv"
	"strings"
	"testing"

	enumspb "go.temporal.io/api/enums/v1"
)

func TestOptionsAcceptTheSDKsLine(t *testing.T) {
	t.Parallel()
	line := "server start-dev --ip 127.0.0.1 --port 7300 --namespace default --dynamic-config-value frontend.enableServerVersionCheck=false " +
		"--dynamic-config-value history.shards=4 --log-level warn --headless --search-attribute BillingPeriod=Keyword"
	o, err := parseOptions(strings.Fields(line), &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	if o.port != 7300 || o.uiPort != 8300 || !o.headless || o.logLevel != "warn" {
		t.Fatalf("parsed %+v", o)
	}
	if o.dynamic["frontend.enableServerVersionCheck"] != false || o.dynamic["history.shards"] != 4 {
		t.Fatalf("dynamic values %v", o.dynamic)
	}
	if o.attributes["BillingPeriod"] != enumspb.INDEXED_VALUE_TYPE_KEYWORD {
		t.Fatalf("attributes %v", o.attributes)
	}
}

func TestOptionsRefuse(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"--ip 0.0.0.0":                 "not a loopback address",
		"--port 70000":                 "not a port",
		"--search-attribute Period":    "Name=Type",
		"--search-attribute A=Fish":    "unknown type",
		"--dynamic-config-value a=b":   "no JSON",
		"--port 7000 --ui-port 7000":   "both 7000",
		"server start-prod":            "unexpected argument",
		"--no-such-flag":               "not defined",
		"--namespace":                  "needs an argument",
		"--port 7000 surplus argument": "unexpected argument",
	} {
		_, err := parseOptions(strings.Fields(line), &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", line, err, want)
		}
	}
}

func TestPortTakenIsOneLineWithARemedy(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	var stdout, stderr bytes.Buffer
	if code := run([]string{"--headless", "--port", port}, strings.NewReader(""), &stdout, &stderr); code != 1 {
		t.Fatalf("exit code %d", code)
	}
	got := stderr.String()
	if strings.Count(got, "\n") != 1 || !strings.Contains(got, "port "+port) || !strings.Contains(got, "pass another --port") {
		t.Fatalf("message %q", got)
	}
}
