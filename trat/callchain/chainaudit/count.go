package chainaudit

import (
	"cmp"
	"fmt"
	"slices"
)

// collector makes the report. Not for concurrent use.
type collector struct {
	report *Report
	keep   int
	each   func(*Transaction) error
}

// transaction takes one that was judged.
func (c *collector) transaction(t *Transaction) error {
	r := c.report
	switch {
	case t.KnownFrom != KnownFromRecords:
		r.Counts.Unjudged++
	case t.Worst() <= SeverityInfo:
		r.Counts.Transactions++
		r.Counts.CleanTransactions++
		if t.Worst() == SeverityInfo {
			r.Counts.NotedTransactions++
		}
	default:
		r.Counts.Transactions++
	}
	r.Counts.Hops += int64(t.Hops)
	r.Counts.Proved += int64(t.Proved)
	for i := range t.Findings {
		c.count(&t.Findings[i])
	}
	c.hold(t)
	if c.each == nil {
		return nil
	}
	return c.each(t)
}

func (c *collector) count(f *Finding) { c.countMany(noteKind{f.Kind, f.Severity}, 1) }

func (c *collector) countMany(k noteKind, n int64) {
	r := c.report
	r.Kinds[k.kind] += n
	switch k.severity {
	case SeverityAlarm:
		r.Counts.Alarms += n
	case SeverityWarning:
		r.Counts.Warnings += n
	default:
		r.Counts.Infos += n
	}
}

// hold keeps t if it is among the worst.
func (c *collector) hold(t *Transaction) {
	held := c.report.Transactions
	at, _ := slices.BinarySearchFunc(held, t, worstFirst)
	if at >= c.keep {
		return
	}
	held = slices.Insert(held, at, t)
	if len(held) > c.keep {
		held[c.keep] = nil
		held = held[:c.keep]
	}
	c.report.Transactions = held
}

func worstFirst(a, b *Transaction) int {
	return cmp.Or(cmp.Compare(b.Worst(), a.Worst()), a.Start.Compare(b.Start), cmp.Compare(a.ID, b.ID))
}

// inputs reports on the inputs as a whole.
func (c *collector) inputs(s *sorter, limit int) {
	var findings []Finding
	for _, l := range s.logs {
		c.report.Logs = append(c.report.Logs, l.Log)
		findings = append(findings, l.findings()...)
	}
	if s.bundles.given == nil {
		findings = append(findings, s.bundles.disputed(s.logs)...)
	}
	for _, kept := range s.noted.kept {
		findings = append(findings, kept...)
	}
	for kind, n := range s.noted.unkept {
		c.countMany(kind, n)
		c.report.MoreFindings += n
	}
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Log, b.Log), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Text, b.Text))
	})
	for i := range findings {
		c.count(&findings[i])
	}
	if len(findings) > limit {
		c.report.MoreFindings += int64(len(findings) - limit)
		findings = findings[:limit]
	}
	c.report.Findings = findings
}

// findings are those about a log as a whole.
func (l *chainLog) findings() []Finding {
	who := l.Server
	if who == "" {
		who = l.Name
	}
	finding := func(kind Kind, severity Severity, format string, args ...any) Finding {
		return Finding{Kind: kind, Severity: severity, Servers: servers(l.Server), Log: l.Name, Text: fmt.Sprintf(format, args...)}
	}
	var findings []Finding
	for _, d := range l.damage {
		f := finding(KindLogDamaged, SeverityAlarm, "The log of %s is not as it was written (%s): lines were changed, removed, moved or put in.", who, d.Text)
		if d.Beginning {
			f = finding(KindLogCut, SeverityWarning, "The log of %s begins with line %d: what came before is not there.", who, l.First)
		}
		f.Log, f.Line = cmp.Or(d.File, l.Name), d.Line
		findings = append(findings, f)
	}
	if l.foreign > 0 {
		findings = append(findings, finding(KindLogDamaged, SeverityAlarm,
			"The log of %s has lines in the name of other servers, which were not taken: %d. A log is of one server.", who, l.foreign))
	}
	if l.rival != nil {
		f := finding(KindLogDamaged, SeverityAlarm, "%s says that it is a part of the same log as %s, and does not go on where that ends: "+
			"one of them was made up, or a part is missing. Each was read for itself.", l.Name, l.rival.Name)
		f.Servers = servers(l.Server, l.rival.Server)
		findings = append(findings, f)
	}
	if l.more > 0 {
		findings = append(findings, finding(KindLogDamaged, SeverityAlarm, "The log of %s has %d more damaged places.", who, l.more))
	}
	if !l.Closed {
		findings = append(findings, finding(KindLogCut, SeverityWarning,
			"The log of %s does not end with the line that a server writes when it stops: the server runs on or has crashed, or the end was cut off.", who))
	}
	if n := l.runs.inside; n > 0 {
		f := finding(KindLogCut, SeverityWarning, "The log of %s was opened again without having been closed (runs without an end: %d, the first of them ends before this line): "+
			"the server crashed or was killed, or the end of what it had written was cut off.", who, n)
		f.Log, f.Line = l.runs.file, l.runs.line
		findings = append(findings, f)
	}
	if l.Lost > 0 {
		findings = append(findings, finding(KindRecordsLost, SeverityWarning, "%s says itself that it lost %d records.", who, l.Lost))
	}
	return findings
}
