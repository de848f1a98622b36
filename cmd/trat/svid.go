package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/grpc-trat/grpc-trat/spiffecreds"
)

const svidWriteHelp = `write asks the Workload API at SPIFFE_ENDPOINT_SOCKET once, of any SPIFFE agent or
of trat dev, and writes into a directory, which it makes with mode 0700 if there is none:

  svid.pem    the X.509-SVID, with the certificates between it and the bundle
  svid.key    its private key, mode 0600
  bundle.pem  the authorities of its trust domain

It is for tools that read files, such as curl and openssl. The files are not renewed:
an X.509-SVID is good for minutes or hours, and a program that runs for longer takes its
own from the Workload API. WHO HAS svid.key IS THE WORKLOAD until the SVID expires.`

const svidWriteExample = `  SPIFFE_ENDPOINT_SOCKET=unix:///tmp/shop/gateway.sock trat svid write ./gateway-svid`

// svidOptions are the flags of `trat svid write`.
type svidOptions struct {
	timeout time.Duration
	format  output
}

func newSVID() *cobra.Command {
	return newGroup("svid", "Work with the X.509-SVID of a workload", newSVIDWrite())
}

func newSVIDWrite() *cobra.Command {
	var o svidOptions
	cmd := &cobra.Command{
		Use:     "write DIR",
		Short:   "Write X.509-SVID, key and bundle to files",
		Long:    svidWriteHelp,
		Example: svidWriteExample,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return usageError{fmt.Errorf("%s wants one directory (see %s --help)", cmd.CommandPath(), cmd.CommandPath())}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.write(cmd, args[0]) },
	}
	cmd.Flags().DurationVar(&o.timeout, "timeout", defaultTimeout, "`time` for the Workload API to answer")
	noFiles(cmd, "timeout")
	addOutput(cmd, &o.format)
	return cmd
}

// writtenSVID is the result of `trat svid write`.
type writtenSVID struct {
	SPIFFEID string    `json:"spiffe_id"`
	Expiry   time.Time `json:"expiry"`
	SVID     string    `json:"svid"`
	Key      string    `json:"key"`
	Bundle   string    `json:"bundle"`
}

func (o *svidOptions) write(cmd *cobra.Command, dir string) error {
	if o.timeout <= 0 {
		return usageError{errTimeout}
	}
	svid, key, bundle, written, err := o.fetch(cmd.Context())
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	written.SVID, written.Key, written.Bundle = filepath.Join(dir, "svid.pem"), filepath.Join(dir, "svid.key"), filepath.Join(dir, "bundle.pem")
	err = errors.Join(
		replaceFile(written.Key, key, 0o600),
		replaceFile(written.SVID, svid, 0o644),
		replaceFile(written.Bundle, bundle, 0o644),
	)
	if err != nil {
		return err
	}
	return o.format.show(cmd.OutOrStdout(), written, func(w io.Writer) {
		fmt.Fprintf(w, "%s until %s: %s %s %s\n", written.SPIFFEID, written.Expiry.Format(time.RFC3339), written.SVID, written.Key, written.Bundle)
	})
}

// fetch asks the Workload API. The three files are PEM, the key PKCS #8.
func (o *svidOptions) fetch(ctx context.Context) (svid, key, bundle []byte, written writtenSVID, err error) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	source, err := spiffecreds.NewSource(ctx, spiffecreds.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, nil, nil, writtenSVID{}, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	own, err := source.GetX509SVID()
	if err != nil {
		return nil, nil, nil, writtenSVID{}, err
	}
	authorities, err := source.GetX509BundleForTrustDomain(own.ID.TrustDomain())
	if err != nil {
		return nil, nil, nil, writtenSVID{}, err
	}
	svid, key, err1 := own.Marshal()
	bundle, err2 := authorities.Marshal()
	written = writtenSVID{SPIFFEID: own.ID.String(), Expiry: own.Certificates[0].NotAfter.UTC()}
	return svid, key, bundle, written, errors.Join(err1, err2)
}

// replaceFile puts content in place of the file name, if there is one. It never writes
// into a file that is there already, whose mode could let others read a key.
func replaceFile(name string, content []byte, mode fs.FileMode) error {
	file, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Chmod(mode), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}
