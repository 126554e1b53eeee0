// gRPC's interoperability tests with grpc-go: a client and a server of grpc.testing.TestService.
//
//	grpcgo_peer client HOST:PORT CA      prints {"case": "what was wrong, or empty"}
//	grpcgo_peer server PORT CERT KEY     says "listening", serves until it is ended, with reflection
//
// Compiled beside what protoc makes of test.proto, as package tern/testpb.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	pb "tern/testpb"
)

const (
	initial  = "x-grpc-test-echo-initial"
	trailing = "x-grpc-test-echo-trailing-bin"
	special  = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
)

var (
	requests  = []int{27182, 8, 1828, 45904}
	responses = []int{31415, 9, 2653, 58979}
)

func payload(size int) *pb.Payload { return &pb.Payload{Body: make([]byte, size)} }

// ---- client -------------------------------------------------------------------------------------

func large() *pb.SimpleRequest {
	return &pb.SimpleRequest{ResponseSize: 314159, Payload: payload(271828)}
}

func output(size, body int) *pb.StreamingOutputCallRequest {
	return &pb.StreamingOutputCallRequest{
		ResponseParameters: []*pb.ResponseParameters{{Size: int32(size)}}, Payload: payload(body)}
}

func ended(err error, code codes.Code, message string) error {
	said := status.Convert(err)
	if said.Code() != code || (message != "" && said.Message() != message) {
		return fmt.Errorf("it ended with %v %q", said.Code(), said.Message())
	}
	return nil
}

type caller struct {
	pb.TestServiceClient
	other pb.UnimplementedServiceClient
}

func (c caller) largeUnary(options ...grpc.CallOption) error {
	response, err := c.UnaryCall(context.Background(), large(), options...)
	if err == nil && len(response.GetPayload().GetBody()) != 314159 {
		return fmt.Errorf("%d bytes", len(response.GetPayload().GetBody()))
	}
	return err
}

func (c caller) clientCompressed() error {
	request := large()
	request.ExpectCompressed = &pb.BoolValue{Value: true}
	_, err := c.UnaryCall(context.Background(), request)
	if wrong := ended(err, codes.InvalidArgument, ""); wrong != nil {
		return wrong
	}
	_, err = c.UnaryCall(context.Background(), request, grpc.UseCompressor(gzip.Name))
	return err
}

func (c caller) serverCompressed() error {
	for _, wanted := range []bool{true, false} {
		request := large()
		request.ResponseCompressed = &pb.BoolValue{Value: wanted}
		response, err := c.UnaryCall(context.Background(), request)
		if err != nil || len(response.GetPayload().GetBody()) != 314159 {
			return fmt.Errorf("%v: %v", wanted, err)
		}
	}
	return nil
}

func (c caller) clientStreaming() error {
	stream, err := c.StreamingInputCall(context.Background())
	if err != nil {
		return err
	}
	for _, size := range requests {
		if err := stream.Send(&pb.StreamingInputCallRequest{Payload: payload(size)}); err != nil {
			return err
		}
	}
	response, err := stream.CloseAndRecv()
	if err == nil && response.AggregatedPayloadSize != 74922 {
		return fmt.Errorf("%d bytes", response.AggregatedPayloadSize)
	}
	return err
}

func (c caller) serverStreaming() error {
	request := &pb.StreamingOutputCallRequest{}
	for _, size := range responses {
		request.ResponseParameters = append(request.ResponseParameters, &pb.ResponseParameters{Size: int32(size)})
	}
	stream, err := c.StreamingOutputCall(context.Background(), request)
	if err != nil {
		return err
	}
	for _, size := range responses {
		response, err := stream.Recv()
		if err != nil || len(response.GetPayload().GetBody()) != size {
			return fmt.Errorf("%v", err)
		}
	}
	if _, err = stream.Recv(); err != io.EOF {
		return fmt.Errorf("one more: %v", err)
	}
	return nil
}

func (c caller) pingPong() error {
	stream, err := c.FullDuplexCall(context.Background())
	if err != nil {
		return err
	}
	for i, size := range responses {
		if err := stream.Send(output(size, requests[i])); err != nil {
			return err
		}
		response, err := stream.Recv()
		if err != nil || len(response.GetPayload().GetBody()) != size {
			return fmt.Errorf("%d: %v", i, err)
		}
	}
	_ = stream.CloseSend()
	if _, err = stream.Recv(); err != io.EOF {
		return fmt.Errorf("one more: %v", err)
	}
	return nil
}

func (c caller) emptyStream() error {
	stream, err := c.FullDuplexCall(context.Background())
	if err != nil {
		return err
	}
	_ = stream.CloseSend()
	if _, err = stream.Recv(); err != io.EOF {
		return fmt.Errorf("%v", err)
	}
	return nil
}

func (c caller) customMetadata() error {
	sent := metadata.Pairs(initial, "test_initial_metadata_value", trailing, "\xab\xab\xab")
	ctx := metadata.NewOutgoingContext(context.Background(), sent)
	check := func(header, trailer metadata.MD) error {
		if len(header[initial]) != 1 || header[initial][0] != sent[initial][0] {
			return fmt.Errorf("initial %v", header)
		}
		if len(trailer[trailing]) != 1 || !bytes.Equal([]byte(trailer[trailing][0]), []byte{0xab, 0xab, 0xab}) {
			return fmt.Errorf("trailing %v", trailer)
		}
		return nil
	}
	var header, trailer metadata.MD
	if _, err := c.UnaryCall(ctx, large(), grpc.Header(&header), grpc.Trailer(&trailer)); err != nil {
		return err
	}
	if err := check(header, trailer); err != nil {
		return err
	}
	stream, err := c.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	_ = stream.Send(output(314159, 271828))
	_ = stream.CloseSend()
	for err == nil {
		_, err = stream.Recv()
	}
	if err != io.EOF {
		return err
	}
	header, _ = stream.Header()
	return check(header, stream.Trailer())
}

func (c caller) statuses(code codes.Code, message string) error {
	wanted := &pb.EchoStatus{Code: int32(code), Message: message}
	_, err := c.UnaryCall(context.Background(), &pb.SimpleRequest{ResponseStatus: wanted})
	if wrong := ended(err, code, message); wrong != nil {
		return wrong
	}
	stream, err := c.FullDuplexCall(context.Background())
	if err != nil {
		return err
	}
	_ = stream.Send(&pb.StreamingOutputCallRequest{ResponseStatus: wanted})
	_ = stream.CloseSend()
	_, err = stream.Recv()
	return ended(err, code, message)
}

func (c caller) cancelAfterBegin() error {
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := c.StreamingInputCall(ctx)
	if err != nil {
		return err
	}
	cancel()
	// Without CloseSend: a server that answers at once may be faster than grpc-go's own look at the context.
	err = stream.RecvMsg(new(pb.StreamingInputCallResponse))
	return ended(err, codes.Canceled, "")
}

func (c caller) cancelAfterFirstResponse() error {
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := c.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	_ = stream.Send(output(31415, 27182))
	if _, err = stream.Recv(); err != nil {
		return err
	}
	cancel()
	_, err = stream.Recv()
	return ended(err, codes.Canceled, "")
}

func (c caller) timeoutOnSleepingServer() error {
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	request := &pb.StreamingOutputCallRequest{
		ResponseParameters: []*pb.ResponseParameters{{Size: 1, IntervalUs: 5000000}}, Payload: payload(27182)}
	stream, err := c.StreamingOutputCall(ctx, request)
	if err == nil {
		_, err = stream.Recv()
	}
	return ended(err, codes.DeadlineExceeded, "")
}

func (c caller) concurrent() error {
	var group sync.WaitGroup
	failures := make(chan error, 100)
	for i := 0; i < 100; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			if err := c.largeUnary(); err != nil {
				failures <- err
			}
		}()
	}
	group.Wait()
	close(failures)
	return <-failures
}

func client(target, ca string) error {
	trust, err := credentials.NewClientTLSFromFile(ca, "localhost")
	if err != nil {
		return err
	}
	connection, err := grpc.Dial(target, grpc.WithTransportCredentials(trust))
	if err != nil {
		return err
	}
	defer connection.Close()
	c := caller{pb.NewTestServiceClient(connection), pb.NewUnimplementedServiceClient(connection)}
	cases := map[string]func() error{
		"empty_unary": func() error {
			_, err := c.EmptyCall(context.Background(), &pb.Empty{})
			return err
		},
		"large_unary":                 func() error { return c.largeUnary() },
		"client_compressed_unary":     c.clientCompressed,
		"server_compressed_unary":     c.serverCompressed,
		"client_streaming":            c.clientStreaming,
		"server_streaming":            c.serverStreaming,
		"ping_pong":                   c.pingPong,
		"empty_stream":                c.emptyStream,
		"custom_metadata":             c.customMetadata,
		"status_code_and_message":     func() error { return c.statuses(codes.Unknown, "test status message") },
		"special_status_message":      func() error { return c.statuses(codes.Unknown, special) },
		"cancel_after_begin":          c.cancelAfterBegin,
		"cancel_after_first_response": c.cancelAfterFirstResponse,
		"timeout_on_sleeping_server":  c.timeoutOnSleepingServer,
		"concurrent_large_unary":      c.concurrent,
		"all_codes": func() error {
			for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
				if err := c.statuses(code, "x"); err != nil {
					return err
				}
			}
			return nil
		},
		"unimplemented_method": func() error {
			_, err := c.UnimplementedCall(context.Background(), &pb.Empty{})
			return ended(err, codes.Unimplemented, "")
		},
		"unimplemented_service": func() error {
			_, err := c.other.UnimplementedCall(context.Background(), &pb.Empty{})
			return ended(err, codes.Unimplemented, "")
		},
	}
	report := map[string]string{}
	for name, run := range cases {
		report[name] = ""
		if err := run(); err != nil {
			report[name] = err.Error()
		}
	}
	return json.NewEncoder(os.Stdout).Encode(report)
}

// ---- server -------------------------------------------------------------------------------------

type service struct {
	pb.UnimplementedTestServiceServer
}

func echo(ctx context.Context, header, trailer func(metadata.MD)) {
	came, _ := metadata.FromIncomingContext(ctx)
	if values := came[initial]; len(values) > 0 {
		header(metadata.Pairs(initial, values[0]))
	}
	if values := came[trailing]; len(values) > 0 {
		trailer(metadata.Pairs(trailing, values[0]))
	}
}

func asked(wanted *pb.EchoStatus) error {
	if wanted.GetCode() == 0 {
		return nil
	}
	return status.Error(codes.Code(wanted.Code), wanted.Message)
}

func (service) EmptyCall(context.Context, *pb.Empty) (*pb.Empty, error) { return &pb.Empty{}, nil }

func (service) UnaryCall(ctx context.Context, request *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	echo(ctx, func(md metadata.MD) { _ = grpc.SetHeader(ctx, md) }, func(md metadata.MD) { _ = grpc.SetTrailer(ctx, md) })
	if err := asked(request.ResponseStatus); err != nil {
		return nil, err
	}
	return &pb.SimpleResponse{Payload: payload(int(request.ResponseSize))}, nil
}

func (service) StreamingOutputCall(request *pb.StreamingOutputCallRequest,
	stream pb.TestService_StreamingOutputCallServer) error {
	for _, wanted := range request.ResponseParameters {
		time.Sleep(time.Duration(wanted.IntervalUs) * time.Microsecond)
		if err := stream.Send(&pb.StreamingOutputCallResponse{Payload: payload(int(wanted.Size))}); err != nil {
			return err
		}
	}
	return asked(request.ResponseStatus)
}

func (service) StreamingInputCall(stream pb.TestService_StreamingInputCallServer) error {
	size := 0
	for {
		request, err := stream.Recv()
		if err == io.EOF {
			return stream.SendAndClose(&pb.StreamingInputCallResponse{AggregatedPayloadSize: int32(size)})
		}
		if err != nil {
			return err
		}
		size += len(request.GetPayload().GetBody())
	}
}

func (service) FullDuplexCall(stream pb.TestService_FullDuplexCallServer) error {
	echo(stream.Context(), func(md metadata.MD) { _ = stream.SetHeader(md) }, stream.SetTrailer)
	for {
		request, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := asked(request.ResponseStatus); err != nil {
			return err
		}
		for _, wanted := range request.ResponseParameters {
			time.Sleep(time.Duration(wanted.IntervalUs) * time.Microsecond)
			if err := stream.Send(&pb.StreamingOutputCallResponse{Payload: payload(int(wanted.Size))}); err != nil {
				return err
			}
		}
	}
}

func serve(port, cert, key string) error {
	pair, err := credentials.NewServerTLSFromFile(cert, key)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "localhost:"+port)
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.Creds(pair))
	pb.RegisterTestServiceServer(server, &service{})
	reflection.Register(server)
	fmt.Println("listening")
	return server.Serve(listener)
}

func main() {
	var err error
	switch {
	case len(os.Args) == 4 && os.Args[1] == "client":
		err = client(os.Args[2], os.Args[3])
	case len(os.Args) == 5 && os.Args[1] == "server":
		err = serve(os.Args[2], os.Args[3], os.Args[4])
	default:
		err = fmt.Errorf("usage: grpcgo_peer client HOST:PORT CA | server PORT CERT KEY")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
