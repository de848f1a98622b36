package hashchain

import (
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestRecordWaitsForTheDisk(t *testing.T) {
	f := newFixture(t, func(c *FileConfig) { c.Sync = SyncRecord })
	f.open(t)
	d := f.onDisk(-1)
	f.write(t, 3)
	if d.syncs != 3 {
		t.Errorf("%d fsyncs for 3 records one after the other", d.syncs)
	}
	d.syncErr = errors.New("I/O error")
	if err := f.try(); !errors.Is(err, d.syncErr) {
		t.Errorf("error %v", err)
	}
	d.syncErr = nil
	f.write(t, 1)
	f.close(t)
	f.intact(t)
}

// slowDisk holds each fsync until it is let go.
type slowDisk struct {
	disk
	began, let chan struct{}
}

func (d *slowDisk) Sync() error {
	d.began <- struct{}{}
	<-d.let
	return d.disk.Sync()
}

func TestRecordsThatWaitShareOneSync(t *testing.T) {
	f := newFixture(t, func(c *FileConfig) { c.Sync = SyncRecord })
	f.open(t)
	d := &slowDisk{disk: disk{appender: f.file.file, room: -1}, began: make(chan struct{}), let: make(chan struct{})}
	f.file.file = d
	var callers sync.WaitGroup
	record := func() {
		if err := f.file.Append(record(testTime, 1, "")); err != nil {
			t.Error(err)
		}
	}
	callers.Go(record)
	<-d.began
	written := f.file.Head().Sequence
	for range 20 {
		callers.Go(record)
	}
	for f.file.Head().Sequence < written+20 { // each of them writes before it waits
		runtime.Gosched()
	}
	d.let <- struct{}{}
	<-d.began // the second one, which is for all 20
	d.let <- struct{}{}
	callers.Wait()
	if d.syncs != 2 {
		t.Errorf("%d fsyncs for 21 records, want 2", d.syncs)
	}
	f.file.file = d.appender
}

func TestSyncThatFailedIsNotForgotten(t *testing.T) {
	f := newFixture(t)
	f.open(t)
	d := f.onDisk(-1)
	f.write(t, 2)
	d.syncErr = errors.New("I/O error")
	f.file.flush()
	d.syncErr = nil
	f.write(t, 1)
	f.file.flush() // the kernel says yes, of the pages that it still has
	for seq, wantErr := range map[uint64]bool{1: false, 2: true, 3: true, 4: false} {
		if err := f.file.waitSynced(seq); (err != nil) != wantErr {
			t.Errorf("line %d: error %v, want one: %t", seq, err, wantErr)
		}
	}
	if said := f.op.errors(); len(said) != 1 || said[0] != "audit log is not on disk" {
		t.Errorf("said %q", said)
	}
}

// Covers AUD-02.
func TestCheckpointsGoToTheOperationalLog(t *testing.T) {
	f := newFixture(t, func(c *FileConfig) { c.CheckpointRecords = 3 })
	f.open(t)
	<-f.op.came // of the opening
	f.write(t, 2)
	f.file.Checkpoint()
	<-f.op.came
	f.file.Checkpoint() // nothing has moved
	f.write(t, 1)
	<-f.op.came // of the third record
	f.write(t, 1)
	head := f.file.Head()
	f.close(t)
	heads := f.op.checkpoints()
	var numbers []uint64
	for _, h := range heads {
		numbers = append(numbers, h.Sequence)
	}
	if want := []uint64{1, 3, 4, 5}; !slices.Equal(numbers, want) {
		t.Fatalf("checkpoints at %d, want %d", numbers, want)
	}
	if heads[3] != head {
		t.Errorf("last checkpoint %v, want %v", heads[3], head)
	}
	f.intact(t)
}

func TestCheckpointsComeByThemselves(t *testing.T) {
	f := newFixture(t, func(c *FileConfig) { c.CheckpointInterval = time.Millisecond; c.SyncInterval = time.Millisecond })
	f.open(t)
	<-f.op.came
	f.write(t, 1)
	<-f.op.came
}

// Covers AUD-02.
func TestNoCheckpointOfWhatIsNotOnDisk(t *testing.T) {
	f := newFixture(t)
	f.open(t)
	d := f.onDisk(-1)
	f.write(t, 1)
	d.syncErr = errors.New("I/O error")
	f.file.Checkpoint()
	if n := len(f.op.checkpoints()); n != 1 {
		t.Errorf("%d checkpoints, want that of the opening", n)
	}
}

func TestHeadIsReadAsItIsWritten(t *testing.T) {
	f := newFixture(t)
	f.open(t)
	head := f.file.Head()
	if got, err := ParseHead(head.String()); err != nil || got != head {
		t.Errorf("got %v, %v", got, err)
	}
	for _, text := range []string{"", "::", head.String() + "0", "0" + head.String(), head.Log + ":01:" + head.Hash, head.Log + ":0:" + head.Hash, head.Log + ":1:" + head.Hash[1:] + "G"} {
		if got, err := ParseHead(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}
