using Materialize.Protocol.Codec;

namespace Materialize.Protocol;

/// <summary>The codecs of the two protocols between environmentd and clusterd.</summary>
public static class ProtocolCodecs
{
    /// <summary>
    /// Both sides must have the same: a plan of another version could mean something else. Raised with every change of a message
    /// that an older reader would misunderstand rather than refuse.
    /// </summary>
    public const uint Version = 1;

    public static IMessageCodec<ComputeCommand> ComputeCommands { get; } =
        new ProtoCodec<ComputeCommand, Wire.ComputeCommand>(Wire.ComputeCommand.Parser, ComputeConversion.ToWire, ComputeConversion.FromWire);

    public static IMessageCodec<ComputeResponse> ComputeResponses { get; } =
        new ProtoCodec<ComputeResponse, Wire.ComputeResponse>(Wire.ComputeResponse.Parser, ComputeConversion.ToWire, ComputeConversion.FromWire, isFlat: true);

    public static IMessageCodec<StorageCommand> StorageCommands { get; } =
        new ProtoCodec<StorageCommand, Wire.StorageCommand>(Wire.StorageCommand.Parser, StorageConversion.ToWire, StorageConversion.FromWire);

    public static IMessageCodec<StorageResponse> StorageResponses { get; } =
        new ProtoCodec<StorageResponse, Wire.StorageResponse>(Wire.StorageResponse.Parser, StorageConversion.ToWire, StorageConversion.FromWire);
}
