package render

import (
	"fmt"
	"strings"
	"time"

	"github.com/grpc-trat/grpc-trat/trat/callchain/chainaudit"
)

// duration is d with as many digits as tell something, "1.2 ms".
func duration(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "-", -d
	}
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%s%.1f ms", sign, float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%s%d ms", sign, d.Round(time.Millisecond)/time.Millisecond)
	case d < time.Minute:
		return fmt.Sprintf("%s%.1f s", sign, d.Seconds())
	}
	return sign + d.Round(time.Second).String()
}

// since is how long after something else, "+1.2 ms".
func since(d time.Duration) string {
	if d < 0 {
		return duration(d)
	}
	return "+" + duration(d)
}

// instant is t for people, in UTC to the millisecond.
func instant(t time.Time) string {
	if t.IsZero() {
		return "unknown"
	}
	return t.UTC().Format("2006-01-02 15:04:05.000 UTC")
}

// plural is n with its noun, "1 hop" or "2 hops".
func plural[N int | int64 | uint64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if head, ok := strings.CutSuffix(noun, "y"); ok {
		noun = head + "ie"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// severities counts findings in words, the gravest first: "1 alarm, 2 warnings".
func severities(alarms, warnings, infos int64) string {
	var parts []string
	for _, p := range []struct {
		n    int64
		noun string
	}{{alarms, "alarm"}, {warnings, "warning"}, {infos, "note"}} {
		if p.n > 0 {
			parts = append(parts, plural(p.n, p.noun))
		}
	}
	if len(parts) == 0 {
		return "no findings"
	}
	return strings.Join(parts, ", ")
}

// severitiesOf counts the findings of one transaction.
func severitiesOf(t *chainaudit.Transaction) (alarms, warnings, infos int64) {
	for i := range t.Findings {
		switch t.Findings[i].Severity {
		case chainaudit.SeverityAlarm:
			alarms++
		case chainaudit.SeverityWarning:
			warnings++
		case chainaudit.SeverityInfo:
			infos++
		}
	}
	return alarms, warnings, infos
}
