// Command room is the smallest game server that shows what a real node does with a pod: it speaks Maestro's room protocol,
// obeys SIGTERM as slowly as it is told (ROOM_STOP_SECONDS, or never), stays when it is asked to leave (ROOM_DRAINING=stay),
// and takes memory and processor time on demand.
//
// It also is the pause container (`room pause`), and writes itself, or any other program with the libraries that it needs,
// into an image (`room image FILE NAME PROGRAM [LIBRARY…] [-- ARGUMENT…]`), so that neither Docker nor a registry is needed.
package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

func main() {
	switch {
	case len(os.Args) > 1 && os.Args[1] == "pause":
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
		<-stop
	case len(os.Args) > 2 && os.Args[1] == "act":
		act(os.Args[2:])
	case len(os.Args) > 4 && os.Args[1] == "image":
		libraries, arguments := os.Args[5:], []string(nil)
		if at := slices.Index(libraries, "--"); at >= 0 {
			libraries, arguments = libraries[:at], libraries[at+1:]
		}
		if err := writeImage(os.Args[2], os.Args[3], os.Args[4], libraries, arguments); err != nil {
			log.Fatal(err)
		}
	case len(os.Args) > 1:
		log.Fatal("usage: room [pause | act WORD… | image FILE NAME PROGRAM [LIBRARY…] [-- ARGUMENT…]]")
	default:
		serve()
	}
}

// act behaves as the checks of every cluster want a room to (host/src/cluster/contract.rs), and reports nothing: `waits`,
// `stubborn`, `prints LINE…`, `exits CODE LINE`, `works`.
func act(words []string) {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	switch {
	case words[0] == "waits":
	case words[0] == "stubborn":
		fmt.Println("deaf")
		for {
			<-stop
		}
	case words[0] == "prints":
		for _, line := range words[1:] {
			fmt.Println(line)
		}
	case words[0] == "exits" && len(words) == 3:
		code, err := strconv.Atoi(words[1])
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(words[2])
		os.Exit(code)
	case words[0] == "works":
		go func() {
			for {
			}
		}()
	default:
		log.Fatal("usage: room act waits | stubborn | prints LINE… | exits CODE LINE | works")
	}
	<-stop
}

// room is what this process tells Maestro, if it was started by one.
type room struct {
	mutex  sync.Mutex
	status string
	url    string
	token  string
	leave  chan string
}

func (r *room) become(status string) {
	r.mutex.Lock()
	r.status = status
	r.mutex.Unlock()
	r.report("status")
}

// report says the present status by the route of that name; a failure is told of and tried again with the next ping.
func (r *room) report(route string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.url == "" || r.status == "" {
		return
	}
	body, _ := json.Marshal(map[string]any{"status": r.status, "timestamp": time.Now().UnixMilli()})
	request, err := http.NewRequest(http.MethodPut, r.url+"/"+route, bytes.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+r.token)
	request.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: 5 * time.Second}
	answer, err := client.Do(request)
	if err != nil {
		log.Println(err)
		return
	}
	defer answer.Body.Close()
	var said struct{ Draining bool }
	text, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusOK {
		log.Printf("%s: %s %s", route, answer.Status, text)
	} else if json.Unmarshal(text, &said) == nil && said.Draining && r.status == "ready" && os.Getenv("ROOM_DRAINING") != "stay" {
		select {
		case r.leave <- "asked to drain":
		default:
		}
	}
}

func serve() {
	r := &room{leave: make(chan string, 1), token: os.Getenv("MAESTRO_ROOM_TOKEN")}
	if api := os.Getenv("MAESTRO_API_URL"); api != "" {
		r.url = fmt.Sprintf("%s/scheduler/%s/rooms/%s", api, os.Getenv("MAESTRO_SCHEDULER_NAME"), os.Getenv("MAESTRO_ROOM_ID"))
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	if os.Getenv("ROOM_STOP_SECONDS") == "never" {
		signal.Ignore(syscall.SIGTERM)
	}
	address := ":" + or(os.Getenv("ROOM_PORT"), "8080")
	listener, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	datagrams, err := net.ListenPacket("udp", address)
	if err != nil {
		log.Fatal(err)
	}
	go echo(datagrams)
	go func() { log.Fatal(http.Serve(listener, routes(r))) }()
	log.Println("started")
	r.become("ready")
	pings := time.NewTicker(time.Second)
	for {
		select {
		case <-pings.C:
			r.report("ping")
		case why := <-r.leave:
			end(r, why, 0)
		case <-stop:
			seconds, _ := strconv.Atoi(os.Getenv("ROOM_STOP_SECONDS"))
			end(r, "SIGTERM", seconds)
		}
	}
}

func end(r *room, why string, seconds int) {
	log.Printf("%s, stopping in %d s", why, seconds)
	r.become("terminating")
	time.Sleep(time.Duration(seconds) * time.Second)
	r.become("terminated")
	log.Println("stopped")
	os.Exit(0)
}

// echo sends every datagram back: games speak UDP.
func echo(datagrams net.PacketConn) {
	buffer := make([]byte, 1500)
	for {
		length, from, err := datagrams.ReadFrom(buffer)
		if err != nil {
			log.Fatal(err)
		}
		_, _ = datagrams.WriteTo(buffer[:length], from)
	}
}

func routes(r *room) http.Handler {
	var taken [][]byte
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		name, _ := os.Hostname()
		fmt.Fprintln(w, "hello from", name)
	})
	mux.HandleFunc("/environment", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(os.Environ())
	})
	mux.HandleFunc("/become/{status}", func(w http.ResponseWriter, request *http.Request) {
		r.become(request.PathValue("status"))
	})
	mux.HandleFunc("/take/{mebibytes}", func(w http.ResponseWriter, request *http.Request) {
		count, _ := strconv.Atoi(request.PathValue("mebibytes"))
		block := make([]byte, count<<20)
		// A page counts only once it was written to.
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		taken = append(taken, block)
	})
	mux.HandleFunc("/burn/{seconds}", func(w http.ResponseWriter, request *http.Request) {
		seconds, _ := strconv.Atoi(request.PathValue("seconds"))
		go func() {
			for begun := time.Now(); time.Since(begun) < time.Duration(seconds)*time.Second; {
			}
		}()
	})
	mux.HandleFunc("/kubernetes/{path...}", func(w http.ResponseWriter, request *http.Request) {
		_ = json.NewEncoder(w).Encode(askKubernetes("/" + request.PathValue("path")))
	})
	mux.HandleFunc("/exit/{code}", func(w http.ResponseWriter, request *http.Request) {
		code, _ := strconv.Atoi(request.PathValue("code"))
		os.Exit(code)
	})
	return mux
}

// answer is what a pod gets that asks the API server as it was made to.
type answer struct {
	// Token tells whether the pod has one of its service account.
	Token bool `json:"token"`
	// Status is the server's; 0 where it was not reached.
	Status int    `json:"status"`
	Body   string `json:"body"`
}

// askKubernetes does what a program does that was let into the pod: it looks for the account's token where all pods have
// it, and asks with it or, where there is none, as a stranger.
func askKubernetes(path string) answer {
	token, err := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/token")
	said := answer{Token: err == nil}
	server := net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT"))
	request, err := http.NewRequest(http.MethodGet, "https://"+server+path, nil)
	if err != nil {
		said.Body = err.Error()
		return said
	}
	if said.Token {
		request.Header.Set("Authorization", "Bearer "+string(token))
	}
	// Who answers does not matter here, but what it answers does.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	reply, err := (&http.Client{Timeout: 10 * time.Second, Transport: transport}).Do(request)
	if err != nil {
		said.Body = err.Error()
		return said
	}
	defer reply.Body.Close()
	text, _ := io.ReadAll(reply.Body)
	said.Status, said.Body = reply.StatusCode, string(text)
	return said
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
