import java.util.concurrent.TimeUnit;

import akka.actor.ActorSystem;
import akka.actor.Address;
import akka.actor.ExtendedActorSystem;
import akka.cluster.Gossip;
import akka.cluster.InternalClusterAction;
import akka.cluster.UniqueAddress;
import akka.cluster.protobuf.ClusterMessageSerializer;

import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;

import scala.concurrent.Await;
import scala.concurrent.duration.Duration;

/** A call serializes the message that welcomes a member to a cluster, and reads it back. */
public final class AkkaClusterGossip {
    private AkkaClusterGossip() {}

    public static void main(String[] arguments) throws Exception {
        Config config = ConfigFactory.parseString("akka.loglevel = OFF");
        ActorSystem system =
                ActorSystem.create("gossip", config.withFallback(ConfigFactory.load()));
        ClusterMessageSerializer serializer =
                new ClusterMessageSerializer((ExtendedActorSystem) system);
        Address address = new Address("akka.tcp", "gossip", "127.0.0.1", 2552);
        UniqueAddress member = new UniqueAddress(address, 1);
        Object welcome = new InternalClusterAction.Welcome(member, Gossip.empty());
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            Object back = serializer.fromBinary(serializer.toBinary(welcome), welcome.getClass());
            if (!welcome.equals(back)) {
                throw new IllegalStateException("came back changed");
            }
        }
        Await.ready(system.terminate(), Duration.create(60, TimeUnit.SECONDS));
    }
}
