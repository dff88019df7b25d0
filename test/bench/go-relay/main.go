// A plain TCP relay, for comparison: two io.Copy between TCP connections, which Go turns into splice(2).
// Usage: relay LISTEN=UPSTREAM …
package main

import (
	"io"
	"log"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

func main() {
	var listeners sync.WaitGroup
	for _, route := range os.Args[1:] {
		listen, upstream, found := strings.Cut(route, "=")
		if !found {
			log.Fatalf("%q is not LISTEN=UPSTREAM", route)
		}
		listener, err := net.Listen("tcp", listen)
		if err != nil {
			log.Fatal(err)
		}
		listeners.Add(1)
		go func() {
			defer listeners.Done()
			serve(listener, upstream)
		}()
	}
	listeners.Wait()
}

func serve(listener net.Listener, upstream string) {
	for {
		client, err := listener.Accept()
		if err != nil {
			// Such as too many open files: some may be closed by then.
			log.Print(err)
			time.Sleep(100 * time.Millisecond)
			continue
		}
		go relay(client.(*net.TCPConn), upstream)
	}
}

func relay(client *net.TCPConn, upstream string) {
	defer client.Close()
	connection, err := net.Dial("tcp", upstream)
	if err != nil {
		log.Print(err)
		return
	}
	server := connection.(*net.TCPConn)
	defer server.Close()
	done := make(chan struct{})
	go func() {
		forward(server, client)
		close(done)
	}()
	forward(client, server)
	<-done
}

// forward copies until the end, and passes the end on alone: the other direction stays open.
func forward(to, from *net.TCPConn) {
	io.Copy(to, from)
	to.CloseWrite()
}
