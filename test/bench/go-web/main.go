// A plain HTTP proxy, for comparison: Go's own httputil.ReverseProxy, with idle connections and buffers that are kept.
// Usage: web LISTEN=UPSTREAM …
package main

import (
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
)

const (
	idleConnections = 256
	bufferBytes     = 32 * 1024
)

type buffers struct{ pool sync.Pool }

func (kept *buffers) Get() []byte {
	return *kept.pool.Get().(*[]byte)
}

func (kept *buffers) Put(buffer []byte) {
	kept.pool.Put(&buffer)
}

func main() {
	kept := &buffers{pool: sync.Pool{New: func() any {
		buffer := make([]byte, bufferBytes)
		return &buffer
	}}}
	transport := &http.Transport{MaxIdleConnsPerHost: idleConnections, DisableCompression: true}
	var servers sync.WaitGroup
	for _, route := range os.Args[1:] {
		listen, upstream, found := strings.Cut(route, "=")
		if !found {
			log.Fatalf("%q is not LISTEN=UPSTREAM", route)
		}
		target := &url.URL{Scheme: "http", Host: upstream}
		proxy := &httputil.ReverseProxy{
			Transport:  transport,
			BufferPool: kept,
			Rewrite: func(request *httputil.ProxyRequest) {
				request.SetURL(target)
				request.SetXForwarded()
				request.Out.Host = request.In.Host
			},
		}
		servers.Add(1)
		go func() {
			defer servers.Done()
			log.Fatal(http.ListenAndServe(listen, proxy))
		}()
	}
	servers.Wait()
}
