package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"
	sqliteschema "go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/temporal"
	"go.uber.org/zap"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	clusterName = "active"
	storeName   = "sqlite"
	// retention keeps closed histories long enough to look at last month's run.
	retention = 30 * 24 * time.Hour
	// registryRefresh is how often every service re-reads the namespaces, and so
	// the longest time until it knows a search attribute that was just added.
	registryRefresh = 500 * time.Millisecond
)

// newServer assembles the four services of Temporal in this process.
func newServer(opts options, logger log.Logger) (temporal.Server, error) {
	store, err := openStore(opts)
	if err != nil {
		return nil, err
	}
	conf, err := serverConfig(opts, store)
	if err != nil {
		return nil, err
	}
	authorizer, err := authorization.GetAuthorizerFromConfig(&conf.Global.Authorization)
	if err != nil {
		return nil, fmt.Errorf("authorizer: %w", err)
	}
	claims, err := authorization.GetClaimMapperFromConfig(&conf.Global.Authorization, logger)
	if err != nil {
		return nil, fmt.Errorf("claim mapper: %w", err)
	}
	// Static hosts replace the gossip ring, which a single process does not need.
	hosts := map[primitives.ServiceName]static.Hosts{}
	for name, service := range conf.Services {
		hosts[primitives.ServiceName(name)] = static.SingleLocalHost(hostPort(opts.ip, service.RPC.GRPCPort))
	}
	dynamic := dynamicconfig.StaticClient{
		dynamicconfig.HistoryCacheHostLevelMaxSize.Key():                 8192,
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key(): 100,
		dynamicconfig.NamespaceCacheRefreshInterval.Key():                registryRefresh,
		dynamicconfig.EnableServerVersionCheck.Key():                     false,
	}
	for key, value := range opts.dynamic {
		dynamic[dynamicconfig.MakeKey(key)] = value
	}
	server, err := temporal.NewServer(
		temporal.WithConfig(conf),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(hosts),
		temporal.WithLogger(logger),
		temporal.WithAuthorizer(authorizer),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return claims }),
		temporal.WithDynamicConfigClient(dynamic),
	)
	if err != nil {
		return nil, fmt.Errorf("assemble the server: %w", err)
	}
	return server, nil
}

// newLogger writes to stderr, without stack traces. The level can be raised at
// the end: services that stop one after another complain about each other.
func newLogger(opts options) (log.Logger, zap.AtomicLevel, error) {
	conf := zap.NewProductionConfig()
	conf.Sampling, conf.DisableStacktrace, conf.DisableCaller = nil, true, true
	conf.EncoderConfig = log.DefaultZapEncoderConfig
	if opts.logFormat != "json" {
		conf.Encoding = "console"
	}
	conf.Level = zap.NewAtomicLevelAt(log.ParseZapLevel(opts.logLevel))
	if opts.logLevel == "never" {
		conf.Level = silent()
	}
	logger, err := conf.Build()
	if err != nil {
		return nil, zap.AtomicLevel{}, fmt.Errorf("open the log: %w", err)
	}
	return log.NewZapLogger(logger), conf.Level, nil
}

// silent lets nothing but the end of the process through.
func silent() zap.AtomicLevel { return zap.NewAtomicLevelAt(zap.FatalLevel) }

// openStore prepares the SQLite database and its namespaces. The write-ahead
// log makes a file twenty times faster than SQLite's default journal.
func openStore(opts options) (*config.SQL, error) {
	store := &config.SQL{PluginName: sqliteplugin.PluginName}
	if opts.dbFilename == "" {
		store.DatabaseName = "temporaldev-" + strconv.Itoa(os.Getpid())
		store.ConnectAttributes = map[string]string{"mode": "memory", "cache": "shared"}
	} else {
		path, err := filepath.Abs(opts.dbFilename)
		if err != nil {
			return nil, fmt.Errorf("--db-filename: %w", err)
		}
		if err := createFile(path); err != nil {
			return nil, err
		}
		store.DatabaseName = path
		store.ConnectAttributes = map[string]string{"mode": "rwc", "journal_mode": "wal", "synchronous": "1"}
	}
	for _, name := range opts.namespaces {
		ns, err := sqliteschema.NewNamespaceConfig(clusterName, name, false, opts.attributes)
		if err != nil {
			return nil, fmt.Errorf("namespace %s: %w", name, err)
		}
		ns.Detail.Config.Retention = durationpb.New(retention)
		if err := sqliteschema.CreateNamespaces(store, ns); err != nil {
			return nil, fmt.Errorf("create namespace %s in %s: %w", name, opts.store(), err)
		}
	}
	return store, nil
}

// createFile makes a new database under another name and moves it into place,
// so that a start that was killed half-way leaves no file without tables.
func createFile(path string) error {
	if _, err := os.Stat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	unfinished := path + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("remove the unfinished database: %w", err)
	}
	store := &config.SQL{
		PluginName:        sqliteplugin.PluginName,
		DatabaseName:      unfinished,
		ConnectAttributes: map[string]string{"mode": "rwc"},
	}
	if err := sqliteschema.SetupSchema(store); err != nil {
		return fmt.Errorf("create the database %s: %w", path, err)
	}
	if err := os.Rename(unfinished, path); err != nil {
		return fmt.Errorf("create the database: %w", err)
	}
	return nil
}

// serverConfig is the static configuration: one shard, loopback only, the
// internal services on free ports.
func serverConfig(opts options, store *config.SQL) (*config.Config, error) {
	frontend := hostPort(opts.ip, opts.port)
	var c config.Config
	c.Global.Membership = config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: opts.ip}
	c.Persistence = config.Persistence{
		DefaultStore:     storeName,
		VisibilityStore:  storeName,
		NumHistoryShards: 1,
		DataStores:       map[string]config.DataStore{storeName: {SQL: store}},
	}
	c.ClusterMetadata = &cluster.Config{
		FailoverVersionIncrement: 10,
		MasterClusterName:        clusterName,
		CurrentClusterName:       clusterName,
		ClusterInformation: map[string]cluster.ClusterInformation{
			clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: frontend},
		},
	}
	c.DCRedirectionPolicy.Policy = "noop"
	c.Archival.History.State = "disabled"
	c.Archival.Visibility.State = "disabled"
	c.NamespaceDefaults.Archival.History.State = "disabled"
	c.NamespaceDefaults.Archival.Visibility.State = "disabled"
	c.PublicClient.HostPort = frontend

	ports, err := freePorts(opts.ip, 3)
	if err != nil {
		return nil, err
	}
	service := func(port int) config.Service {
		return config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: opts.ip}}
	}
	c.Services = map[string]config.Service{
		string(primitives.FrontendService): service(opts.port),
		string(primitives.HistoryService):  service(ports[0]),
		string(primitives.MatchingService): service(ports[1]),
		string(primitives.WorkerService):   service(ports[2]),
	}
	return &c, nil
}

// freePorts holds all listeners until the last port is found, so that the
// ports differ from each other.
func freePorts(ip string, n int) ([]int, error) {
	ports := make([]int, 0, n)
	for range n {
		l, err := net.Listen("tcp", hostPort(ip, 0))
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer func() { _ = l.Close() }()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// newConsole is the web console. It fetches no news and writes no log.
func newConsole(opts options) (ui *uiserver.Server, err error) {
	defer func() { // the constructor reports a bad configuration by a panic
		if r := recover(); r != nil {
			err = fmt.Errorf("assemble the web console: %v", r)
		}
	}()
	return uiserver.NewServer(uioptions.WithConfigProvider(&uiconfig.Config{
		Host:                opts.ip,
		Port:                opts.uiPort,
		TemporalGRPCAddress: hostPort(opts.ip, opts.port),
		DefaultNamespace:    opts.namespaces[0],
		EnableUI:            true,
		CORS:                uiconfig.CORS{CookieInsecure: true},
		HideLogs:            true,
		DisableNewsFetch:    true,
	})), nil
}
