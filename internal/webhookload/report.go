package webhookload

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is the outcome of a measurement.
type Report struct {
	CPUs        int       `json:"cpus"`
	Connections int       `json:"connections"`
	Events      int       `json:"events_per_round"`
	Rounds      int       `json:"rounds"`
	BodyBytes   BodyBytes `json:"body_bytes"`

	Runs     []Round  `json:"runs"`
	Median   Figures  `json:"median"`
	Floor    Floor    `json:"median_floor"`
	Peers    []Peer   `json:"median_peers,omitempty"`
	Ratios   *Ratios  `json:"ratios,omitempty"`
	HalfLoad Answered `json:"half_load"`
	Memory   Memory   `json:"memory"`
}

// BodyBytes are the sizes of the delivered bodies.
type BodyBytes struct {
	Smallest int `json:"smallest"`
	Mean     int `json:"mean"`
	Largest  int `json:"largest"`
}

// Figures are those of one side in one round, or the medians of all rounds.
type Figures struct {
	// PerSecond counts events until the last one was stored and classified.
	PerSecond float64 `json:"events_per_second"`
	// CPU is processor time for 1,000 events, in seconds: of the program, of the worker
	// where there is one, and of PostgreSQL.
	CPU      float64       `json:"cpu_seconds_per_1000"`
	Server   float64       `json:"cpu_server"`
	Worker   float64       `json:"cpu_worker"`
	Database float64       `json:"cpu_database"`
	P50      time.Duration `json:"p50_ns"`
	P99      time.Duration `json:"p99_ns"`
}

// Peer is another program's figures.
type Peer struct {
	Name string `json:"name"`
	Figures
}

// Round is everybody's turn.
type Round struct {
	Floor Floor   `json:"floor"`
	Own   Figures `json:"liftbill"`
	Peers []Peer  `json:"peers,omitempty"`
}

// Ratios compare the medians with the peer that is better at each.
type Ratios struct {
	PerSecond float64 `json:"events_per_second"` // ours over the fastest peer's
	CPU       float64 `json:"cpu"`               // ours over the most frugal peer's
}

// Answered is how fast answers came at an offered rate.
type Answered struct {
	OfferedPerSecond  float64       `json:"offered_per_second"`
	AnsweredPerSecond float64       `json:"answered_per_second"`
	P50               time.Duration `json:"p50_ns"`
	P99               time.Duration `json:"p99_ns"`
}

// Memory is what the processes held at most, in bytes, under an offered rate.
type Memory struct {
	OfferedPerSecond  float64       `json:"offered_per_second"`
	AnsweredPerSecond float64       `json:"answered_per_second"`
	Answered          int           `json:"answered_200"`
	Busy              int           `json:"answered_503"`
	Other             int           `json:"other"`
	Late              int           `json:"sent_late"`
	P99               time.Duration `json:"p99_ns"`
	ServerPeak        int64         `json:"server_peak_bytes"`
	WorkerPeak        int64         `json:"worker_peak_bytes"`
}

func figures(r Run) Figures {
	per := func(d time.Duration) float64 { return d.Seconds() * 1000 / float64(max(r.Events, 1)) }
	return Figures{
		PerSecond: r.PerSecond(), CPU: per(r.CPU.Total()), Server: per(r.CPU.Server), Worker: per(r.CPU.Worker), Database: per(r.CPU.Database),
		P50: r.Answers.Percentile(0.5), P99: r.Answers.Percentile(0.99),
	}
}

func (r *Report) add(round Round) { r.Runs = append(r.Runs, round) }

// summarise takes the medians over the rounds, figure by figure.
func (r *Report) summarise() {
	var own []Figures
	var floors, floorCPU []float64
	for _, round := range r.Runs {
		own = append(own, round.Own)
		floors, floorCPU = append(floors, round.Floor.PerSecond), append(floorCPU, round.Floor.CPU)
	}
	r.Median, r.Floor = medians(own), Floor{PerSecond: median(floors), CPU: median(floorCPU)}
	for i := range r.Runs[0].Peers {
		var of []Figures
		for _, round := range r.Runs {
			of = append(of, round.Peers[i].Figures)
		}
		r.Peers = append(r.Peers, Peer{Name: r.Runs[0].Peers[i].Name, Figures: medians(of)})
	}
	if len(r.Peers) == 0 {
		return
	}
	fastest, frugal := r.Peers[0].PerSecond, r.Peers[0].CPU
	for _, p := range r.Peers {
		fastest, frugal = max(fastest, p.PerSecond), min(frugal, p.CPU)
	}
	r.Ratios = &Ratios{PerSecond: r.Median.PerSecond / fastest, CPU: r.Median.CPU / frugal}
}

func medians(of []Figures) Figures {
	pick := func(f func(Figures) float64) float64 {
		var values []float64
		for _, x := range of {
			values = append(values, f(x))
		}
		return median(values)
	}
	return Figures{
		PerSecond: pick(func(f Figures) float64 { return f.PerSecond }), CPU: pick(func(f Figures) float64 { return f.CPU }),
		Server: pick(func(f Figures) float64 { return f.Server }), Worker: pick(func(f Figures) float64 { return f.Worker }),
		Database: pick(func(f Figures) float64 { return f.Database }),
		P50:      time.Duration(pick(func(f Figures) float64 { return float64(f.P50) })),
		P99:      time.Duration(pick(func(f Figures) float64 { return float64(f.P99) })),
	}
}

// String is a round in one line.
func (r Round) String() string {
	parts := []string{fmt.Sprintf("floor %.0f rows/s", r.Floor.PerSecond), fmt.Sprintf("liftbill %.0f events/s at %.3f CPU s", r.Own.PerSecond, r.Own.CPU)}
	for _, p := range r.Peers {
		parts = append(parts, fmt.Sprintf("%s %.0f at %.3f", p.Name, p.PerSecond, p.CPU))
	}
	return strings.Join(parts, ", ")
}

// Print writes the report for people.
func (r *Report) Print(w io.Writer) error {
	fmt.Fprintf(w, "%d CPUs, %d connections, bodies of %d to %d bytes (mean %d), %d events in each of %d rounds, every %dth sent twice; medians\n\n",
		r.CPUs, r.Connections, r.BodyBytes.Smallest, r.BodyBytes.Largest, r.BodyBytes.Mean, r.Events, r.Rounds, repeatEvery)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tevents/s\tCPU s per 1,000\tserver\tworker\tdatabase\tp50\tp99\t")
	row := func(name string, f Figures) {
		fmt.Fprintf(t, "%s\t%.0f\t%.3f\t%.3f\t%.3f\t%.3f\t%.1f ms\t%.1f ms\t\n", name, f.PerSecond, f.CPU, f.Server, f.Worker, f.Database, ms(f.P50), ms(f.P99))
	}
	row("liftbill", r.Median)
	for _, p := range r.Peers {
		row(p.Name, p.Figures)
	}
	fmt.Fprintf(t, "pgbench, one-row inserts\t%.0f\t%.3f\t\t\t%.3f\t\t\t\n", r.Floor.PerSecond, r.Floor.CPU, r.Floor.CPU)
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if r.Ratios != nil {
		fmt.Fprintf(w, "%.2f times the events per second of the fastest peer, %.2f of the CPU of the most frugal one\n", r.Ratios.PerSecond, r.Ratios.CPU)
	}
	fmt.Fprintf(w, "%.2f events for each row that pgbench inserts\n", r.Median.PerSecond/r.Floor.PerSecond)
	fmt.Fprintf(w, "at half that load (%.0f a second): p50 %.1f ms, p99 %.1f ms\n", r.HalfLoad.OfferedPerSecond, ms(r.HalfLoad.P50), ms(r.HalfLoad.P99))
	m := r.Memory
	_, err := fmt.Fprintf(w, "at %.0f a second offered on 256 connections: %.0f a second answered 200, %d answered 503, %d otherwise; the server held %d MiB at most, the worker %d MiB\n",
		m.OfferedPerSecond, m.AnsweredPerSecond, m.Busy, m.Other, m.ServerPeak>>20, m.WorkerPeak>>20)
	return err
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
