package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"
)

// auditRepeats are the audits of one kind, of which the fastest counts.
const auditRepeats = 2

// auditOrder is what an audit in a process of its own is to do.
type auditOrder struct {
	Logs    []string `json:"logs"`
	Workers int      `json:"workers"`
}

// audited is what it found, and what it took.
type audited struct {
	Hops   int64         `json:"hops"`
	Alarms int64         `json:"alarms"`
	Wall   time.Duration `json:"wall"`
	Peak   uint64        `json:"peak"` // bytes of heap, with what was not collected yet
	cpu    time.Duration
}

// measureAudit measures audits of recorded hops, each in a process of its own.
func measureAudit(rounds int) ([]row, error) {
	sizes := []int{10_000, 100_000}
	if rounds < 40 {
		sizes = []int{10_000, 30_000}
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var rows []row
	var peaks []float64
	for _, hops := range sizes {
		sub := filepath.Join(dir, fmt.Sprint(hops))
		if err := os.Mkdir(sub, 0o700); err != nil {
			return nil, err
		}
		logs, err := writeLogs(sub, hops/len(tree))
		if err != nil {
			return nil, err
		}
		more, peak, err := auditRows(logs, hops)
		if err != nil {
			return nil, err
		}
		rows, peaks = append(rows, more...), append(peaks, peak)
	}
	return append(rows, row{
		name:  fmt.Sprintf("audit, peak heap, %d hops / %d hops", sizes[1], sizes[0]),
		value: peaks[1] / peaks[0], unit: "x", budget: 1.5,
	}), nil
}

// auditRows measures audits of logs with that many hops.
func auditRows(logs []string, hops int) (rows []row, peak float64, err error) {
	cores := runtime.GOMAXPROCS(0)
	all, err1 := fastest(auditOrder{Logs: logs, Workers: cores}, hops)
	alone, err2 := fastest(auditOrder{Logs: logs, Workers: 1}, hops)
	name := fmt.Sprintf("audit, %d hops, ", hops)
	return []row{
		{name: name + "wall time", value: all.Wall.Seconds(), unit: " s"},
		{name: name + "CPU", value: all.cpu.Seconds(), unit: " s"},
		{name: name + "peak heap", value: float64(all.Peak) / (1 << 20), unit: " MiB"},
		{name: name + fmt.Sprintf("wall time of 1 worker / of %d", cores), value: alone.Wall.Seconds() / all.Wall.Seconds(), unit: "x"},
	}, float64(all.Peak), errors.Join(err1, err2)
}

// fastest audits some times, and returns what the least disturbed one took, and the
// largest peak.
func fastest(order auditOrder, hops int) (audited, error) {
	best := audited{Wall: time.Hour}
	peak := uint64(0)
	for range auditRepeats {
		one, err := auditElsewhere(order)
		if err != nil {
			return audited{}, err
		}
		if one.Hops != int64(hops) || one.Alarms > 0 {
			return audited{}, fmt.Errorf("an audit of %d hops finds %d, and raises %d alarms", hops, one.Hops, one.Alarms)
		}
		peak = max(peak, one.Peak)
		if one.Wall < best.Wall {
			best = one
		}
	}
	best.Peak = peak
	return best, nil
}

// auditElsewhere has a process of its own carry out the order.
func auditElsewhere(order auditOrder) (audited, error) {
	text, err := json.Marshal(order)
	if err != nil {
		return audited{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return audited{}, err
	}
	cmd := exec.Command(self, "-audit", string(text))
	cmd.Stderr = os.Stderr
	answer, err := cmd.Output()
	if err != nil {
		return audited{}, fmt.Errorf("the audit's process: %w", err)
	}
	var a audited
	err = json.Unmarshal(answer, &a)
	a.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return a, err
}

// runAudit is the audit's process: it carries out the order and prints what it took.
func runAudit(text string) error {
	var order auditOrder
	if err := json.Unmarshal([]byte(text), &order); err != nil {
		return err
	}
	done := make(chan struct{})
	peak := make(chan uint64)
	go watchHeap(done, peak)
	start := time.Now()
	report, err := chainaudit.Run(context.Background(), chainaudit.Input{Logs: order.Logs},
		chainaudit.Options{Workers: order.Workers, Keep: -1})
	wall := time.Since(start)
	close(done)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(audited{
		Hops: report.Counts.Hops, Alarms: report.Counts.Alarms, Wall: wall, Peak: <-peak,
	})
}

// watchHeap looks at the heap until done is closed, and sends the most that was there.
func watchHeap(done <-chan struct{}, peak chan<- uint64) {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	most := uint64(0)
	for {
		metrics.Read(sample)
		most = max(most, sample[0].Value.Uint64())
		select {
		case <-done:
			peak <- most
			return
		case <-ticker.C:
		}
	}
}
