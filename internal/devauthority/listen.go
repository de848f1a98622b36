package devauthority

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"google.golang.org/grpc"
)

// maxSocketPath is what every system allows for the path of a unix socket (macOS: 104
// bytes with the final zero).
const maxSocketPath = 103

// endpoint is one listening socket.
type endpoint struct {
	server *grpc.Server
	served chan error
}

func (e *endpoint) stop() error {
	e.server.Stop()
	if err := <-e.served; !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil // stopped before it had begun to serve
}

// Listen serves the Workload API for id on the socket name + ".sock" in dir, and
// returns its address for SPIFFE_ENDPOINT_SOCKET. Whoever can connect is taken to be id.
//
// dir is created if it is not there; it must be a directory of this user that nobody
// else can enter (mode 0700). name is a file name without a separator. A socket of that
// name that nobody listens on is replaced. Listen returns when calls are accepted.
func (a *Authority) Listen(dir, name string, id spiffeid.ID) (addr string, err error) {
	if _, err := a.X509SVID(id); err != nil {
		return "", err
	}
	if name == "" || name == "." || name == ".." || name != filepath.Base(name) {
		return "", fmt.Errorf("devauthority: socket name %q is not a plain file name", name)
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("devauthority: socket directory: %w", err)
	}
	if err := privateDir(dir); err != nil {
		return "", fmt.Errorf("devauthority: socket directory %s: %w", dir, err)
	}
	path := filepath.Join(dir, name+".sock")
	if len(path) > maxSocketPath {
		return "", fmt.Errorf("devauthority: socket path of %d bytes is longer than %d: %s", len(path), maxSocketPath, path)
	}
	lis, err := listenUnix(path)
	if err != nil {
		return "", fmt.Errorf("devauthority: %w", err)
	}
	e := &endpoint{
		server: grpc.NewServer(
			grpc.UnaryInterceptor(checkHeaderUnary),
			grpc.StreamInterceptor(checkHeaderStream),
			grpc.WaitForHandlers(true),
		),
		served: make(chan error, 1),
	}
	workload.RegisterSpiffeWorkloadAPIServer(e.server, &workloadAPI{authority: a, id: id})

	addr = "unix://" + path
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return "", errors.Join(errClosed, lis.Close())
	}
	a.endpoints[addr] = e
	go func() { e.served <- e.server.Serve(lis) }()
	a.logger.Info("Workload API served", "address", addr, "spiffe_id", id.String())
	return addr, nil
}

// Stop ends the endpoint at addr and its calls, as if the agent had been killed. Listen
// brings it back.
func (a *Authority) Stop(addr string) error {
	a.mu.Lock()
	e, ok := a.endpoints[addr]
	delete(a.endpoints, addr)
	a.mu.Unlock()
	if !ok {
		return fmt.Errorf("devauthority: nothing is served at %s", addr)
	}
	return e.stop()
}

// privateDir makes sure that dir keeps everybody else out, since its sockets hand out
// private keys.
func privateDir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return errors.New("not a directory")
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("others have access (mode %04o, want 0700)", info.Mode().Perm())
	}
	return ownedByUs(info)
}

// listenUnix takes over a socket file left by a process that is gone.
func listenUnix(path string) (net.Listener, error) {
	addr := &net.UnixAddr{Name: path, Net: "unix"}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return net.ListenUnix(addr.Net, addr)
	case err != nil:
		return nil, err
	case info.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("%s is not a socket", path)
	}
	if conn, err := net.DialUnix(addr.Net, nil, addr); err == nil {
		return nil, errors.Join(fmt.Errorf("%s is in use", path), conn.Close())
	}
	if err := os.Remove(path); err != nil {
		return nil, err
	}
	return net.ListenUnix(addr.Net, addr)
}
