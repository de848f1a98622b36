package interceptors

import "time"

// Alarm is a timer of a guard's streams.
type Alarm = alarm

// WithAlarms sets what the guard's streams set their alarms with.
func WithAlarms(set func(d time.Duration, f func()) Alarm) ServerOption {
	return serverOption(func(s *Server) error {
		s.streams.setAlarm = set
		return nil
	})
}
