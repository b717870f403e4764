import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.embedded.EmbeddedChannel;
import io.netty.handler.codec.compression.JdkZlibDecoder;
import io.netty.handler.codec.compression.JdkZlibEncoder;
import io.netty.handler.codec.compression.ZlibWrapper;

/** A call sends some bytes through an encoder and a decoder of gzip; both channels are finished. */
public final class NettyJdkZlib {
    private NettyJdkZlib() {}

    public static void main(String[] arguments) {
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            EmbeddedChannel encoder = new EmbeddedChannel(new JdkZlibEncoder(ZlibWrapper.GZIP));
            EmbeddedChannel decoder = new EmbeddedChannel(new JdkZlibDecoder(ZlibWrapper.GZIP));
            encoder.writeOutbound(Unpooled.wrappedBuffer(new byte[100]));
            encoder.finish();
            for (ByteBuf part = encoder.readOutbound(); part != null; part = encoder.readOutbound()) {
                decoder.writeInbound(part);
            }
            decoder.finish();
            int length = 0;
            for (ByteBuf part = decoder.readInbound(); part != null; part = decoder.readInbound()) {
                length += part.readableBytes();
                part.release();
            }
            if (length != 100) {
                throw new IllegalStateException("came back changed: " + length);
            }
        }
    }
}
