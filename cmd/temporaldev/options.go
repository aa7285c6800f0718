package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
)

// errHelp reports that usage was asked for and printed.
var errHelp = errors.New("help")

// defaultPort and the console's distance from it are those of Temporal's own
// development server.
const (
	defaultPort   = 7233
	consoleOffset = 1000
)

// options is the parsed command line.
type options struct {
	ip         string
	port       int
	uiPort     int
	headless   bool
	dbFilename string
	namespaces []string
	attributes map[string]enumspb.IndexedValueType
	dynamic    map[string]any
	logLevel   string
	logFormat  string
	watchStdin bool
	version    bool
}

// parseOptions reads the flags. A leading `server start-dev` is accepted, so
// that the SDK's testsuite.StartDevServer can use this program.
func parseOptions(args []string, usage io.Writer) (options, error) {
	if len(args) >= 2 && args[0] == "server" && args[1] == "start-dev" {
		args = args[2:]
	}
	o := options{attributes: map[string]enumspb.IndexedValueType{}, dynamic: map[string]any{}}
	fs := flag.NewFlagSet("temporaldev", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.ip, "ip", "127.0.0.1", "loopback address to listen on")
	fs.IntVar(&o.port, "port", defaultPort, "gRPC port")
	fs.IntVar(&o.uiPort, "ui-port", 0, "web console port (default: --port + 1000)")
	fs.BoolVar(&o.headless, "headless", false, "start without the web console")
	fs.StringVar(&o.dbFilename, "db-filename", "", "SQLite file (default: in memory); name it per server version, there is no migration")
	fs.Func("namespace", "namespace to create, repeatable (default: default)", func(v string) error {
		o.namespaces = append(o.namespaces, v)
		return nil
	})
	fs.Func("search-attribute", "Name=Type to have in every namespace, repeatable", o.addAttribute)
	fs.Func("dynamic-config-value", "KEY=JSON, repeatable", o.addDynamic)
	fs.StringVar(&o.logLevel, "log-level", "warn", "debug, info, warn, error or never")
	fs.StringVar(&o.logFormat, "log-format", "json", "json or text")
	fs.BoolVar(&o.watchStdin, "watch-stdin", false, "stop when standard input closes, that is when the parent is gone")
	fs.BoolVar(&o.version, "version", false, "print the versions inside and exit")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fs.SetOutput(usage)
			fs.Usage()
			return options{}, errHelp
		}
		return options{}, err
	}
	if fs.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	return o.complete()
}

// complete fills what was not given and checks what was.
func (o options) complete() (options, error) {
	if len(o.namespaces) == 0 {
		o.namespaces = []string{"default"}
	}
	slices.Sort(o.namespaces)
	o.namespaces = slices.Compact(o.namespaces)
	if o.uiPort == 0 {
		o.uiPort = o.port + consoleOffset
	}
	if ip := net.ParseIP(o.ip); ip == nil || !ip.IsLoopback() {
		return options{}, fmt.Errorf("--ip %q is not a loopback address: this server has no authentication and stays on 127.0.0.1", o.ip)
	}
	for name, port := range map[string]int{"--port": o.port, "--ui-port": o.uiPort} {
		if port < 1 || port > 65535 {
			return options{}, fmt.Errorf("%s %d is not a port between 1 and 65535", name, port)
		}
	}
	if !o.headless && o.port == o.uiPort {
		return options{}, fmt.Errorf("--port and --ui-port are both %d", o.port)
	}
	return o, nil
}

func (o *options) addAttribute(v string) error {
	name, kind, ok := strings.Cut(v, "=")
	if !ok || name == "" {
		return errors.New("want Name=Type, for instance BillingPeriod=Keyword")
	}
	value, err := enumspb.IndexedValueTypeFromString(kind)
	if err != nil || value == enumspb.INDEXED_VALUE_TYPE_UNSPECIFIED {
		return fmt.Errorf("unknown type %q: want Keyword, Text, Int, Double, Bool, Datetime or KeywordList", kind)
	}
	o.attributes[name] = value
	return nil
}

func (o *options) addDynamic(v string) error {
	key, raw, ok := strings.Cut(v, "=")
	if !ok || key == "" {
		return errors.New("want KEY=JSON")
	}
	var value any
	if err := json.Unmarshal([]byte(raw), &value); err != nil {
		return fmt.Errorf("the value of %s is no JSON (strings need quotes): %w", key, err)
	}
	// JSON knows one kind of number; the server tells integers from floats.
	if f, isFloat := value.(float64); isFloat && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		value = int(f)
	}
	o.dynamic[key] = value
	return nil
}

// checkPorts turns the commonest failure into one line that says what to do.
func (o options) checkPorts() error {
	ports := map[string]int{"--port": o.port}
	if !o.headless {
		ports["--ui-port"] = o.uiPort
	}
	for flagName, port := range ports {
		l, err := net.Listen("tcp", hostPort(o.ip, port))
		if err != nil {
			return fmt.Errorf("port %d on %s is taken: stop the program that uses it, or pass another %s (%w)", port, o.ip, flagName, err)
		}
		_ = l.Close()
	}
	return nil
}

// store names where histories are kept, for people.
func (o options) store() string {
	if o.dbFilename == "" {
		return "memory"
	}
	return o.dbFilename
}

func hostPort(ip string, port int) string { return net.JoinHostPort(ip, strconv.Itoa(port)) }

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
